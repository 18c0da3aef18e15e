// SPDX-License-Identifier: GPL-3.0-or-later

// A kube-apiserver, as upstream's own main makes it: what the manifests in deploy/ are shown to.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
