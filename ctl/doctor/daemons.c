/* SPDX-License-Identifier: GPL-3.0-or-later */
/* daemons.c - do they run, are they of the version of this command, and what do they say of themselves? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/doctor.h"
#include "units.h"

/* What systemd has to say about one that does not answer. */
static void
add_unit(struct doctor *d, enum daemon which)
{
	char unit[64], state[200] = "";

	(void)snprintf(unit, sizeof(unit), "tulle-%s.service", daemon_name(which));
	if (!units_there() || !units_state(unit, state, sizeof(state)))
		return;
	report_add(&d->report, BROKEN, daemon_name(which), "systemd says of %s: %s; journalctl -u %s -e says why, "
	    "systemctl start %s once that is mended", unit, state, unit, unit);
}

static void
compare_version(struct doctor *d, enum daemon which)
{
	const char *version = answer_text(d->answers.process[which], "version", NULL);

	if (version != NULL && strcmp(version, TULLE_VERSION) != 0)
		report_add(&d->report, WARNING, daemon_name(which), "the running tulle-%s is of version %s, this command of %s: "
		    "restart it (systemctl restart tulle-%s)", daemon_name(which), version, TULLE_VERSION, daemon_name(which));
}

void
check_daemons(struct doctor *d)
{
	look_certd(&d->report, &d->answers);
	look_relayd(&d->report, &d->answers);
	if (d->answers.status[RELAYD] != NULL && report_is_bad(&d->report, "manifests") == 0 && look_relay_lives(&d->answers) &&
	    json_object_get(json_object_get(d->answers.status[RELAYD], "relay"), "config") == NULL)
		look_manifests(&d->report, &d->answers);
	for (enum daemon which = 0; which < DAEMONS; which++) {
		if (d->answers.status[which] == NULL)
			add_unit(d, which);
		compare_version(d, which);
	}
}

const char *
doctor_identity(const struct doctor *d)
{
	const json_t *ids = json_object_get(json_object_get(d->answers.status[RELAYD], "relay"), "identities"), *id;
	size_t i;

	json_array_foreach(ids, i, id)
		if (json_is_true(json_object_get(id, "default")))
			return answer_text(id, "id", NULL);
	return NULL;
}
