/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tulle ca ... - the authority's root: tulle-certd does it, which alone reads and writes that state. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "beside.h"
#include "verbs.h"

int
ca_main(int argc, char **argv)
{
	char path[BESIDE_MAX];
	const char *certd = beside(path, "tulle-certd");
	char AUTO_FREE **args = calloc((size_t)argc + 2, sizeof(*args));
	char name[] = "tulle-certd", verb[] = "ca";

	if (args == NULL)
		return EXIT_FAILURE;
	args[0] = name;
	args[1] = verb;
	for (int i = 1; i < argc; i++)
		args[i + 1] = argv[i];
	(void)execvp(certd, args);
	(void)fprintf(stderr, "tulle ca: %s: %s\n", certd, strerror(errno));
	return EXIT_FAILURE;
}
