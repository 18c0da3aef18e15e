/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle inject FILE|- - a Kubernetes manifest with Tulle's containers in its
 * pods, on standard output.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "inject/inject.h"
#include "inject/manifest.h"
#include "verbs.h"

static const char usage_text[] =
    "Usage: tulle inject [OPTION...] FILE|-\n"
    "\n"
    "Prints the Kubernetes manifest FILE (- is standard input) with Tulle's containers in\n"
    "every pod of a Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob or List.\n"
    "All else stays as it is, to the byte.  tulle uninject undoes it.\n"
    "\n"
    "  --sidecar native|classic  a restartable init container (Kubernetes 1.29 and later;\n"
    "                            the default) or an ordinary container\n"
    "  --identity token|socket   from the pod's service account token (the default), or from\n"
    "                            a socket of the node\n"
    "  --socket-volume NAME      the CSI driver that brings the socket, or a folder of the\n"
    "                            node (default csi.spiffe.io)\n"
    "  --image IMAGE             default tulle:" TULLE_VERSION "\n"
    "  --pull-policy POLICY      Always, IfNotPresent or Never\n"
    "  --config-map NAME         holds tulle.yaml (default tulle)\n"
    "  --mesh-config-map NAME    holds the manifests, and may be absent (default tulle-mesh)\n"
    "  --drain TIME              how long a pod that is told to stop is still served\n"
    "  --termination-grace TIME  how long its stop may take in all (default: the pod's own)\n"
    "  --cpu REQUEST[:LIMIT]     default 50m\n"
    "  --memory REQUEST[:LIMIT]  default 64Mi:256Mi\n"
    "  --no-status               for podman: no annotation from which tulle uninject works\n"
    "\n"
    "Exit status: 0 printed, 1 refused and nothing printed, 2 wrong usage.\n";

/* One of two words.  -1: neither. */
static int
word(const char *text, const char *no, const char *yes)
{
	return strcmp(text, no) == 0 ? 0 : strcmp(text, yes) == 0 ? 1 : -1;
}

/* 0, or CLI_WRONG after a message; 1: help was printed. */
static int
read_options(int argc, char **argv, struct inject_options *o)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' }, { "sidecar", required_argument, NULL, 's' },
		{ "identity", required_argument, NULL, 'i' }, { "socket-volume", required_argument, NULL, 'v' },
		{ "image", required_argument, NULL, 'I' }, { "pull-policy", required_argument, NULL, 'p' },
		{ "config-map", required_argument, NULL, 'c' }, { "mesh-config-map", required_argument, NULL, 'm' },
		{ "drain", required_argument, NULL, 'd' }, { "termination-grace", required_argument, NULL, 'g' },
		{ "cpu", required_argument, NULL, 'C' }, { "memory", required_argument, NULL, 'M' },
		{ "no-status", no_argument, NULL, 'n' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	const char **const texts[] = { ['v'] = &o->socket_volume, ['I'] = &o->image, ['p'] = &o->pull_policy, ['c'] = &o->config_map,
		['m'] = &o->mesh_config_map, ['d'] = &o->drain, ['g'] = &o->grace, ['C'] = &o->cpu, ['M'] = &o->memory };
	char why[INJECT_WHY];
	int c, yes;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			(void)fputs(usage_text, stdout);
			return 1;
		}
		if (c == '?')
			return cli_try(argv[0]);
		if (c == 'n') {
			o->no_status = true;
		} else if (c == 'r') { /* as every verb; nothing of this host is read */
			if (cli_root(argv[0], optarg) != 0)
				return CLI_WRONG;
		} else if (c == 's' || c == 'i') {
			yes = c == 's' ? word(optarg, "native", "classic") : word(optarg, "token", "socket");
			if (yes == -1)
				return cli_wrong(argv[0], "--%s %s is needed", c == 's' ? "sidecar" : "identity",
				    c == 's' ? "native or classic" : "token or socket");
			*(c == 's' ? &o->classic : &o->socket) = yes == 1;
		} else {
			*texts[c] = optarg;
		}
	}
	if (inject_options_check(o, why) != TULLE_OK)
		return cli_wrong(argv[0], "%s", why);
	return 0;
}

static enum tulle_err
transform(struct buf *out, struct buf *notes, struct inject_done *ret, const struct manifest_text *in, const void *arg,
    struct problems *problems)
{
	return inject_text(out, notes, ret, in->name, in->data, in->len, arg, problems);
}

int
inject_main(int argc, char **argv)
{
	struct inject_options o = inject_defaults;
	int status = read_options(argc, argv, &o);

	if (status != 0)
		return status == 1 ? 0 : status;
	if (argc - optind != 1)
		return cli_wrong(argv[0], "one manifest is needed: a file, or - for standard input");
	return manifest_run(argv[0], argv[optind], "taken into the mesh", transform, &o);
}
