/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "look/look.h"

#include <stdbool.h>
#include <string.h>

#include "manifests.h"
#include "print.h"

/*
 * certd knows when a renewal was due.  Where there is none (SPIRE), a fifth of the certificate's life: certificates are
 * dated back by up to a minute, so for short-lived ones this speaks too early.
 */
static bool
renewal_is_late(const struct answers *a, const json_t *id)
{
	const json_t *alarm;
	size_t i;

	if (a->status[CERTD] == NULL)
		return answer_num(id, "remaining") * 5 < answer_num(id, "not_after") - answer_num(id, "not_before");
	json_array_foreach(json_object_get(a->status[CERTD], "alarms"), i, alarm)
		if (strcmp(answer_text(alarm, "id", ""), answer_text(id, "id", "?")) == 0)
			return true;
	return false;
}

/* Connections of this host go out under the default identity alone. */
static void
show_no_default(struct report *r, const json_t *relay)
{
	const char *wanted = answer_text(relay, "identity_default", NULL);

	if (wanted == NULL)
		report_add(r, BROKEN, "identity", "identity.default is not set: connections of this host into the mesh fail (no_identity); "
		    "set it in tulle.yaml, then restart tulle-certd and tulle-relayd");
	else
		report_add(r, BROKEN, "identity", "there is no certificate for identity.default (%s): connections of this host into the "
		    "mesh fail (no_identity); see tulle-certd's log and what this host's token allows", wanted);
}

static void
show_identity(struct report *r, const struct answers *a, const json_t *relay)
{
	bool has_default = false;
	const json_t *ids = json_object_get(relay, "identities"), *id;
	char left_text[32];
	size_t i;

	if (json_array_size(ids) == 0) {
		report_add(r, BROKEN, "identity", "the relay has none: %s; see the log of tulle-certd, and that users.relayd in "
		    "tulle.yaml is the relay's user",
		    answer_text(json_object_get(relay, "identity_source"), "error", "no certificate has come yet"));
		return;
	}
	json_array_foreach(ids, i, id) {
		json_int_t left = answer_num(id, "remaining");
		enum health h = left <= 0 ? BROKEN : renewal_is_late(a, id) ? WARNING : WELL;

		has_default = has_default || json_is_true(json_object_get(id, "default"));
		report_add(r, h, "identity", "%s, serial %s, %s left%s", answer_text(id, "id", "?"), answer_text(id, "serial", "?"),
		    print_lifetime(left, left_text),
		    h == WELL      ? ""
		    : h == WARNING ? ": renewal is late, see tulle-certd's log"
		                   : ": EXPIRED, peers refuse it; see tulle-certd's log and the clock");
	}
	if (!has_default)
		show_no_default(r, relay);
}

int
look_relay_lives(const struct answers *a)
{
	return json_is_object(json_object_get(a->status[RELAYD], "relay"));
}

void
look_relayd(struct report *r, const struct answers *a)
{
	const json_t *status = a->status[RELAYD], *relay = json_object_get(status, "relay");
	const char *unread = answer_text(json_object_get(status, "addresses"), "error", "");
	bool ready = json_is_true(json_object_get(status, "ready"));

	if (status == NULL) {
		report_add(r, BROKEN, "relayd", "%s; where the rules are in place new connections are refused: start tulle-relayd, or "
		    "remove the rules with tulle-nfrules remove", a->why[RELAYD] != NULL ? a->why[RELAYD] : "no answer");
		return;
	}
	if (*unread != '\0')
		report_add(r, BROKEN, "addresses", "%s; those known before count as this host's: its connections to its other addresses go "
		    "through a tunnel", unread);
	if (!json_is_object(relay)) {
		bool silent = json_is_true(json_object_get(status, "silent"));

		report_add(r, BROKEN, "relayd", "the relay process %s, its parent (pid %" JSON_INTEGER_FORMAT ") starts another",
		    silent ? "does not answer; if that lasts" : "is not running", answer_num(status, "parent_pid"));
		return;
	}
	report_add(r, ready ? WELL : BROKEN, "relayd", "pid %" JSON_INTEGER_FORMAT ", started %" JSON_INTEGER_FORMAT " time(s)%s",
	    answer_num(relay, "pid"), answer_num(status, "starts"), ready ? "" : ", not ready");
	show_identity(r, a, relay);
}

void
look_manifests(struct report *r, const struct answers *a)
{
	const json_t *config = json_object_get(json_object_get(a->status[RELAYD], "relay"), "config");
	const char *error = answer_text(a->status[RELAYD], "last_error", "");
	const char *last_good = answer_text(a->status[RELAYD], "last_good", NULL);
	char origin[MANIFESTS_TEXT];
	char when[PRINT_TIME];

	if (a->status[CERTD] != NULL || a->status[RELAYD] != NULL)
		report_add(r, manifests_origin(origin, a->status[CERTD], a->status[RELAYD]) ? WELL : WARNING, "manifests", "%s", origin);
	if (!look_relay_lives(a))
		return;
	if (config == NULL)
		report_add(r, BROKEN, "manifests", "no configuration is in force, all connections are refused: %s; mend the files, then "
		    "tulle reload relayd", *error != '\0' ? error : "none has come yet");
	else if (last_good != NULL)
		report_add(r, BROKEN, "manifests", "running on the last good configuration of %s, because the files were refused: %s",
		    last_good, error);
	else if (*error != '\0')
		report_add(r, BROKEN, "manifests", "the newest files were refused, the old ones are in force: %s", error);
	if (config != NULL)
		report_add(r, WELL, "manifests", "revision %s, in force since %s, %" JSON_INTEGER_FORMAT " endpoints, %" JSON_INTEGER_FORMAT
		    " policies", answer_text(config, "revision", "?"), print_time(answer_num(config, "since"), when),
		    answer_num(config, "endpoints"), answer_num(config, "policies"));
}
