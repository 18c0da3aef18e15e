/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "certd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/paths.h"
#include "io/ctlsock.h"

json_t *
certd_call(const char *verb, const char *command, json_t *args, int timeout_ms)
{
	const char *path = paths_run("certd.sock");
	char AUTO_FREE *error = NULL;
	json_t *result = NULL;
	enum tulle_err e = ctl_call(path, command, args, timeout_ms, &result, &error);

	if (e == TULLE_OK)
		return result;
	if (e == TULLE_ENOENT || e == TULLE_EUNAVAIL)
		(void)fprintf(stderr,
		    "tulle %s: tulle-certd is not running (nobody answers at %s)\n"
		    "    start it:  systemctl start tulle-certd   or   tulle-certd%s%s &\n",
		    verb, path, *paths_root() != '\0' ? " --root " : "", paths_root());
	else
		(void)fprintf(stderr, "tulle %s: %s%s%s\n", verb, e == TULLE_EINVAL ? error : tulle_strerror(e),
		    e == TULLE_ESYS ? ": " : "", e == TULLE_ESYS ? strerror(errno) : "");
	return NULL;
}

const char *
certd_text(const json_t *o, const char *field)
{
	const char *text = json_string_value(json_object_get(o, field));

	return text != NULL ? text : "";
}
