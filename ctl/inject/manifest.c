/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inject/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "inject/tree.h"

#define NOTES_MAX (1u << 20)

static enum tulle_err
read_all(const char *path, char **ret, size_t *ret_len)
{
	int AUTO_FD fd = -1;

	if (strcmp(path, "-") == 0)
		return file_read_fd(STDIN_FILENO, TREE_MAX_BYTES, ret, ret_len);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd != -1 ? file_read_fd(fd, TREE_MAX_BYTES, ret, ret_len) : TULLE_ESYS;
}

static void
print_lines(const char *program, const char *what, const struct buf *lines)
{
	const char *p = (const char *)buf_head(lines), *end = p + buf_len(lines);

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		(void)fprintf(stderr, "%s: %s%.*s\n", program, what, (int)((nl != NULL ? nl : end) - p), p);
		p = nl != NULL ? nl + 1 : end;
	}
}

static void
print_problems(const struct problems *p)
{
	for (size_t i = 0; i < p->n; i++)
		(void)fprintf(stderr, "%s: %s\n", p->list[i].warning ? "warning" : "error", p->list[i].line);
	if (p->errors + p->warnings > p->n)
		(void)fprintf(stderr, "... and %zu more\n", p->errors + p->warnings - p->n);
}

static int
change_and_print(const char *program, const struct manifest_text *in, const char *did, manifest_change *change, const void *arg,
    struct problems *problems)
{
	struct buf out = buf_new(INJECT_OUT_MAX), notes = buf_new(NOTES_MAX);
	struct inject_done done = { 0, 0 };
	int status = EXIT_FAILURE;
	enum tulle_err e;

	e = change(&out, &notes, &done, in, arg, problems);
	print_problems(problems);
	if (e == TULLE_OK) {
		print_lines(program, "", &notes);
		if (done.changed == 0)
			(void)fprintf(stderr, "%s: %s: no pod is %s: printed as it is\n", program, in->name, did);
		if (file_write_all(STDOUT_FILENO, buf_head(&out), buf_len(&out)) == TULLE_OK)
			status = EXIT_SUCCESS;
		else
			(void)fprintf(stderr, "%s: standard output: %s\n", program, strerror(errno));
	} else if (e != TULLE_EINVAL) {
		(void)fprintf(stderr, "%s: %s: %s\n", program, in->name, tulle_strerror(e));
	}
	buf_free(&out);
	buf_free(&notes);
	return status;
}

int
manifest_run(const char *program, const char *path, const char *did, manifest_change *change, const void *arg)
{
	struct manifest_text in = { .name = strcmp(path, "-") == 0 ? "standard input" : path };
	char AUTO_FREE *data = NULL;
	struct problems problems;
	enum tulle_err e;
	int status;

	e = read_all(path, &data, &in.len);
	if (e != TULLE_OK) {
		(void)fprintf(stderr, "%s: %s: %s\n", program, in.name,
		    e == TULLE_ESYS	   ? strerror(errno) :
			e == TULLE_ELIMIT ? "larger than 16 MiB; divide it" :
					      tulle_strerror(e));
		return EXIT_FAILURE;
	}
	in.data = data;
	problems_init(&problems);
	status = change_and_print(program, &in, did, change, arg, &problems);
	problems_free(&problems);
	return status;
}
