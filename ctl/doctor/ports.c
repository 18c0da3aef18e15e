/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ports.c - do our daemons listen at their ports, and nobody else? */
#include <stdio.h>
#include <string.h>

#include "doctor/doctor.h"

static void
look_at(struct doctor *d, uint32_t port, enum daemon which, const char *field, bool *good)
{
	const struct listener *l = listeners_on_port(&d->listeners, (uint16_t)port);
	char program[16];

	(void)snprintf(program, sizeof(program), "tulle-%s", daemon_name(which)); /* cut as the kernel cuts names */
	if (l == NULL) {
		if (d->answers.status[which] == NULL)
			return; /* that it does not run has been said */
		report_add(&d->report, BROKEN, "ports", "nobody listens at port %u (%s): tulle-%s should; its log says why not", port,
		    field, daemon_name(which));
		*good = false;
	} else if (l->pid == 1) {
		return; /* systemd keeps it for the daemon, which is on its way or has been said to be missing */
	} else if (l->comm[0] != '\0' && strncmp(l->comm, program, strlen(l->comm)) != 0) {
		report_add(&d->report, BROKEN, "ports", "port %u (%s) is taken by %s (pid %d): tulle-%s cannot have it; stop that "
		    "program, or give another number in tulle.yaml", port, field, l->comm, (int)l->pid, daemon_name(which));
		*good = false;
	}
}

void
check_ports(struct doctor *d)
{
	bool good = true;

	if (d->host == NULL)
		return;
	look_at(d, d->host->ports.outbound, RELAYD, "ports.outbound", &good);
	look_at(d, d->host->ports.inbound, RELAYD, "ports.inbound", &good);
	look_at(d, d->host->ports.hbone, RELAYD, "ports.hbone", &good);
	if (d->host->authority.listen.on && d->host->authority.listen.at.port != 0 &&
	    strcmp(answer_text(d->answers.status[CERTD], "source", ""), "embedded") == 0)
		look_at(d, d->host->authority.listen.at.port, CERTD, "authority.listen", &good);
	if (d->host->telemetry.metrics.on)
		look_at(d, d->host->telemetry.metrics.at.port, TELEMETRYD, "telemetry.metrics", &good);
	if (good)
		report_add(&d->report, WELL, "ports", "ours are free or held by Tulle%s", d->root ? "" : " (whose they are only root can see)");
}
