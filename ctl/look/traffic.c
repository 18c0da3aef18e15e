/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "look/look.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static void
show_tunnels(struct report *r, const json_t *relay)
{
	const json_t *workers = json_object_get(relay, "workers"), *w, *t;
	json_int_t flows = 0, sockets = 0;
	size_t in = 0, out = 0, i, k;

	json_array_foreach(workers, i, w) {
		flows += answer_num(w, "flows");
		sockets += answer_num(w, "sockets");
		in += json_array_size(json_object_get(w, "inbound"));
		out += json_array_size(json_object_get(w, "outbound"));
	}
	report_add(r, WELL, "flows", "%" JSON_INTEGER_FORMAT " connections, %" JSON_INTEGER_FORMAT " sockets, %zu tunnels out, %zu in",
	    flows, sockets, out, in);
	json_array_foreach(workers, i, w) {
		json_array_foreach(json_object_get(w, "outbound"), k, t)
			report_add(r, WELL, "peer", "to %s %s, %s, %" JSON_INTEGER_FORMAT " streams", answer_text(t, "peer", "?"),
			    answer_text(t, "identity", "?"), answer_text(t, "cipher", "connecting"), answer_num(t, "streams"));
		json_array_foreach(json_object_get(w, "inbound"), k, t)
			report_add(r, WELL, "peer", "from %s %s, %s, %" JSON_INTEGER_FORMAT " streams", answer_text(t, "peer", "?"),
			    answer_text(t, "identity", "?"), answer_text(t, "cipher", "connecting"), answer_num(t, "streams"));
	}
}

/* Not older than this counts as lately: what failed yesterday says nothing of today. */
#define LATELY 300 /* seconds */

/*
 * The last failure of each destination and reason, with how often it happened.  It is told, not judged: a policy that
 * denies does its work, and a host outside the mesh may be down.
 */
static void
show_failures(struct report *r, const json_t *relay, const char *way)
{
	const json_t *w, *one;
	json_t *seen = json_object();
	int64_t now = clock_wall_sec();
	const char *key;
	json_t *last;
	size_t i, k;

	json_array_foreach(json_object_get(relay, "workers"), i, w)
		json_array_foreach(json_object_get(json_object_get(w, "failures"), way), k, one) {
			char id[400];
			json_int_t times;

			if (answer_num(one, "at") + LATELY < now)
				continue;
			(void)snprintf(id, sizeof(id), "%s %s %s", answer_text(one, "destination", "?"), answer_text(one, "reason", "?"),
			    answer_text(one, "identity", ""));
			times = answer_num(json_object_get(seen, id), "times") + 1;
			last = json_deep_copy(one);
			(void)json_object_set_new(last, "times", json_integer(times));
			(void)json_object_set_new(seen, id, last);
		}
	json_object_foreach(seen, key, last) {
		const char *policy = answer_text(last, "policy", ""), *reason = answer_text(last, "reason", "?");
		const char *identity = answer_text(last, "identity", "");
		bool outbound = strcmp(way, "outbound") == 0;

		report_add(r, UNKNOWN, "failed", "%s %s%s%s%s: %s%s%s, %" JSON_INTEGER_FORMAT " times, last %" JSON_INTEGER_FORMAT " s ago%s%s",
		    outbound ? "to" : "in to", answer_text(last, "destination", "?"), identity[0] != '\0' ? outbound ? " (" : " (from " : "",
		    identity, identity[0] != '\0' ? ")" : "", strcmp(reason, "denied_by_policy") == 0 ? "denied by policy" : reason,
		    policy[0] != '\0' ? " " : "", policy, answer_num(last, "times"), (json_int_t)(now - answer_num(last, "at")),
		    outbound ? "; tulle doctor " : "", outbound ? answer_text(last, "destination", "") : "");
	}
	json_decref(seen);
}

/* Of those endpoints of a port that are on this host, the first at which nobody listens; NULL: none. */
static const char *
find_unheard(const json_t *port, const struct listeners *l)
{
	const json_t *one;
	struct addr at;
	size_t i;

	json_array_foreach(json_object_get(port, "local"), i, one)
		if (addr_parse(&at, json_string_value(one)) == TULLE_OK && listeners_at(l, &at) == NULL)
			return json_string_value(one);
	return NULL;
}

void
look_services(struct report *r, const struct answers *a, const struct listeners *l)
{
	const json_t *config = json_object_get(json_object_get(a->status[RELAYD], "relay"), "config"), *s, *port;
	size_t i, k;

	json_array_foreach(json_object_get(config, "services"), i, s) {
		json_array_foreach(json_object_get(s, "ports"), k, port) {
			json_int_t n = answer_num(port, "endpoints"), resting = answer_num(port, "resting");
			const char *unheard = find_unheard(port, l);
			bool here = json_array_size(json_object_get(port, "local")) > 0;

			report_add(r, n == 0 || resting == n || unheard != NULL ? WARNING : WELL, "service", "%s/%s:%" JSON_INTEGER_FORMAT ": %"
			    JSON_INTEGER_FORMAT " endpoints, %" JSON_INTEGER_FORMAT " meshed, %" JSON_INTEGER_FORMAT " resting%s%s%s",
			    answer_text(s, "namespace", "?"), answer_text(s, "name", "?"), answer_num(port, "port"), n,
			    answer_num(port, "meshed"), resting,
			    n == 0         ? ": no WorkloadEntry or EndpointSlice matches it"
			    : resting == n ? ": none could be reached lately, tulle doctor says why"
			                   : "",
			    unheard != NULL ? ": nobody listens here at " : here ? "; the application here listens" : "",
			    unheard != NULL ? unheard : "");
		}
	}
}

void
look_traffic(struct report *r, const struct answers *a)
{
	if (look_relay_lives(a))
		show_tunnels(r, json_object_get(a->status[RELAYD], "relay"));
}

void
look_failures(struct report *r, const struct answers *a)
{
	const json_t *relay = json_object_get(a->status[RELAYD], "relay");

	show_failures(r, relay, "outbound");
	show_failures(r, relay, "inbound");
}
