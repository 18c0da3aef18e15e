/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "look/answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/paths.h"
#include "beside.h"
#include "io/ctlsock.h"
#include "outside.h"

#define TIMEOUT_MS 3000
#define RULES_MAX (4u << 20) /* bytes of a list of differences */

const char *
daemon_name(enum daemon d)
{
	static const char *const names[DAEMONS] = { "certd", "relayd", "telemetryd" };

	return names[d];
}

static json_t *
ask(enum daemon d, const char *command, char **ret_why)
{
	char socket_name[32];
	json_t *result = NULL;
	char *error = NULL;
	enum tulle_err e;

	(void)snprintf(socket_name, sizeof(socket_name), "%s.sock", daemon_name(d));
	e = ctl_call(paths_run(socket_name), command, NULL, TIMEOUT_MS, &result, &error);
	if (e == TULLE_OK)
		return result;
	if (ret_why != NULL && asprintf(ret_why, "%s%s",
	        e == TULLE_ENOENT || e == TULLE_EUNAVAIL ? "not running: nobody answers at "
	        : error != NULL                          ? error
	                                                 : "no answer from ",
	        error != NULL ? "" : paths_run(socket_name)) == -1)
		*ret_why = NULL;
	free(error);
	return NULL;
}

/* What tulle-nfrules check says; that takes root. */
static void
ask_rules(struct answers *a)
{
	char path[BESIDE_MAX];
	const char *const argv[] = { beside(path, "tulle-nfrules"), "check", "--json", "--root",
		paths_root()[0] != '\0' ? paths_root() : "/", NULL };
	char AUTO_FREE *text = NULL;
	int status;

	if (geteuid() != 0)
		return;
	status = outside_run(argv, NULL, false, RULES_MAX, &text);
	if (status == OUTSIDE_MISSING)
		return;
	a->rules = status;
	a->rules_said = text != NULL ? json_loads(text, 0, NULL) : NULL;
}

void
answers_get(struct answers *a)
{
	*a = (struct answers){ .rules = -1 };
	for (enum daemon d = 0; d < DAEMONS; d++) {
		a->status[d] = ask(d, "status", &a->why[d]);
		if (a->status[d] != NULL)
			a->process[d] = ask(d, "process", NULL);
	}
	ask_rules(a);
}

void
answers_free(struct answers *a)
{
	json_decref(a->rules_said);
	for (enum daemon d = 0; d < DAEMONS; d++) {
		json_decref(a->status[d]);
		json_decref(a->process[d]);
		free(a->why[d]);
	}
}

const char *
answer_text(const json_t *o, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : otherwise;
}

json_int_t
answer_num(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}
