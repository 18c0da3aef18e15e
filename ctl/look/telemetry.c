/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "look/look.h"


/* A destination's three lanes in one line: the first that is in trouble speaks for it. */
static void
show_destination(struct report *r, const json_t *d)
{
	json_t *lane;
	json_int_t delivered = 0, queued = 0;
	const char *name, *trouble = NULL, *error = "";

	json_object_foreach(json_object_get(d, "signals"), name, lane) {
		delivered += answer_num(lane, "delivered");
		queued += answer_num(lane, "queued");
		if (trouble == NULL && (json_is_true(json_object_get(lane, "fault")) || answer_num(lane, "failures") > 0)) {
			trouble = name;
			error = answer_text(lane, "last_error", "?");
		}
	}
	report_add(r, trouble == NULL ? WELL : WARNING, "telemetry", "to %s, %" JSON_INTEGER_FORMAT " records delivered, %"
	    JSON_INTEGER_FORMAT " queued%s%s%s%s", answer_text(d, "otlp", "?"), delivered, queued, trouble != NULL ? "; " : "",
	    trouble != NULL ? trouble : "", trouble != NULL ? ": " : "", error);
}

void
look_telemetry(struct report *r, const struct answers *a)
{
	const json_t *d;
	size_t i;

	if (a->status[TELEMETRYD] == NULL) {
		report_add(r, WARNING, "telemetry", "%s; traffic is not affected", a->why[TELEMETRYD] != NULL ? a->why[TELEMETRYD] : "no answer");
		return;
	}
	report_add(r, json_is_true(json_object_get(a->status[RELAYD], "telemetry_attached")) ? WELL : WARNING, "telemetry", "%s",
	    json_is_true(json_object_get(a->status[RELAYD], "telemetry_attached")) ? "attached to the relay" : "not attached to the relay");
	json_array_foreach(json_object_get(a->status[TELEMETRYD], "destinations"), i, d)
		show_destination(r, d);
}
