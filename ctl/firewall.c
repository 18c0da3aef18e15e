/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "firewall.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/paths.h"
#include "base/text.h"
#include "beside.h"
#include "outside.h"

#define ANSWER_MAX (1u << 20)

bool
firewall_objects(const char *verb)
{
	char path[BESIDE_MAX];
	const char *const argv[] = { beside(path, "tulle-nfrules"), "check", "--json", "--root", *paths_root() != '\0' ? paths_root() : "/",
		NULL };
	char AUTO_FREE *text = NULL;
	json_t *said, *one;
	const char *state;
	bool objects = false;
	size_t i;

	(void)outside_run(argv, NULL, false, ANSWER_MAX, &text);
	said = text != NULL ? json_loads(text, 0, NULL) : NULL;
	state = json_string_value(json_object_get(said, "state"));
	if (state != NULL && strcmp(state, "absent") == 0) {
		json_array_foreach(json_object_get(said, "firewalls"), i, one) {
			(void)fprintf(stderr, "tulle %s: %s; nothing was started\n", verb, json_string_value(one));
			objects = true;
		}
		if (objects)
			(void)fprintf(stderr, "tulle %s: where there is no tulle.yaml yet, the option --inbound-ports 80,443 (or all, or none) writes "
			                      "that into it\n", verb);
	}
	json_decref(said);
	return objects;
}

static bool
one_port(const char *word, char *out, size_t size, size_t *len)
{
	uint64_t port;

	if (text_uint(word, 65535, &port) != TULLE_OK || port == 0 || *len + 8 >= size)
		return false;
	*len += (size_t)snprintf(out + *len, size - *len, "%s%u", *len > 0 ? ", " : "", (unsigned int)port);
	return true;
}

bool
firewall_capture(const char *verb, const char *text, char out[SETUP_CAPTURE])
{
	char ports[SETUP_CAPTURE - 32] = "", word[8];
	size_t len = 0;
	bool good = true;

	if (strcmp(text, "all") == 0 || strcmp(text, "none") == 0) {
		(void)snprintf(out, SETUP_CAPTURE, "%s", text[0] == 'a' ? "inboundPorts: all" : "inbound: false");
		return true;
	}
	for (const char *at = text, *end; good && at != NULL; at = *end == ',' ? end + 1 : NULL) {
		end = at + strcspn(at, ",");
		good = snprintf(word, sizeof(word), "%.*s", (int)(end - at), at) < (int)sizeof(word) &&
		    one_port(word, ports, sizeof(ports), &len);
	}
	if (!good)
		(void)fprintf(stderr, "tulle %s: --inbound-ports %s: all, none, or ports from 1 to 65535 are needed, such as 80,443; at most "
		                      "100 of them here\n", verb, text);
	else
		(void)snprintf(out, SETUP_CAPTURE, "inboundPorts: [%s]", ports);
	return good;
}

void
firewall_note_kept(const char *verb)
{
	(void)fprintf(stderr, "tulle %s: %s is there and stays as it is: --inbound-ports is not written into it\n", verb,
	    paths_etc("tulle.yaml"));
}
