/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tulle check [FILE|DIR...] - what the daemons would say about these files,
 * without asking them and without changing anything.
 *
 * What comes from a folder called mesh.d is a manifest, as it is for the
 * relay.  Elsewhere tulle.yaml, identities.yaml and manifests are told apart
 * by what is in them, so any mixture will do.
 */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/paths.h"
#include "decide/owner.h"
#include "generation/generation.h"
#include "manifest/dir.h"
#include "manifest/host.h"
#include "manifest/identities.h"
#include "manifest/snapshot.h"
#include "manifest/yaml.h"
#include "manifests.h"
#include "verbs.h"

static const char usage_text[] =
    "Usage: tulle check [--root DIR] [--json] [FILE|DIR...]\n"
    "\n"
    "Reads manifests, tulle.yaml and identities.yaml and prints every mistake with\n"
    "its file, line and column.  Without arguments it reads what this host would:\n"
    "/etc/tulle/tulle.yaml, identities.yaml, and mesh.d or what its authority published\n"
    "(manifests.source).  All of a folder that is called\n"
    "mesh.d counts as manifests, as for the relay; elsewhere each file as what it looks\n"
    "like.  Names must end in .yaml or .yml.  Nothing is changed and no\n"    "daemon is asked.  Exit status: 0 good, 1 mistakes found, 2 wrong usage.\n";

struct check {
	struct problems problems;
	struct manifest_files files;     /* everything that was named */
	struct manifest_files manifests; /* those that are manifests; they lend from <files> */
	struct host_config *host;        /* the first that was read, or the defaults */
	size_t hosts, identity_files, identities;
	struct snapshot *snapshot;
};

/* ---- reading --------------------------------------------------------------- */

static bool
is_mesh_d(const char *folder)
{
	char AUTO_FREE *whole = realpath(folder, NULL);
	const char *slash = strrchr(whole != NULL ? whole : folder, '/');

	return strcmp(slash != NULL ? slash + 1 : folder, "mesh.d") == 0;
}

/* Once it has had manifests the relay takes a folder that is missing for a mistake: so does this. */
static void
say_missing(struct check *c, const char *path)
{
	problem_error(&c->problems, (struct place){ .file = path }, NULL,
	    "mesh.d is missing: an empty folder would say that there are no manifests");
}

static void
read_mesh_d(struct check *c, const char *path)
{
	if (manifest_dir_read(&c->files, path, &c->problems) == TULLE_ENOENT)
		say_missing(c, path);
	manifest_dir_ignored(path, &c->problems);
}

static void
read_path(struct check *c, const char *path, bool must_exist)
{
	char below[4096];
	struct stat st;

	if (stat(path, &st) == -1) {
		if (must_exist)
			(void)manifest_file_read(&c->files, path, &c->problems); /* which says why not */
		return;
	}
	if (S_ISREG(st.st_mode) && !manifest_name_counts(path)) {
		problem_error(&c->problems, (struct place){ .file = path }, NULL,
		    "is not read by any daemon: its name must end in .yaml or .yml");
		return;
	}
	if (!S_ISDIR(st.st_mode)) {
		(void)manifest_file_read(&c->files, path, &c->problems);
		return;
	}
	if (is_mesh_d(path)) {
		read_mesh_d(c, path);
		return;
	}
	(void)manifest_dir_read(&c->files, path, &c->problems);
	if (snprintf(below, sizeof(below), "%s/mesh.d", path) < (int)sizeof(below) && stat(below, &st) == 0)
		read_mesh_d(c, below); /* a copy of /etc/tulle */
}

enum file_kind { FILE_MANIFEST, FILE_HOST, FILE_IDENTITIES };

static enum file_kind
kind_of(const struct manifest_file *f)
{
	const char *slash = strrchr(f->name, '/'), *base = slash != NULL ? slash + 1 : f->name;
	char AUTO_FREE *folder = slash != NULL ? strndup(f->name, (size_t)(slash - f->name) + 1) : strdup(".");
	struct arena arena = arena_new(128u << 20);
	struct yaml_documents docs = { 0 };
	enum file_kind kind = FILE_MANIFEST;
	struct problems unused;

	if ((folder != NULL && is_mesh_d(folder)) || strncmp(f->name, GENERATION_PREFIX, strlen(GENERATION_PREFIX)) == 0) {
		arena_free(&arena);
		return FILE_MANIFEST;
	}
	problems_init(&unused);
	(void)yaml_parse(&docs, &arena, f->name, f->data, f->len, &unused);
	if (docs.n == 0) { /* empty or broken: only its name is left to go by */
		if (strcmp(base, "tulle.yaml") == 0)
			kind = FILE_HOST;
		else if (strcmp(base, "identities.yaml") == 0)
			kind = FILE_IDENTITIES;
	} else if (docs.roots[0]->kind == YAML_LIST) {
		kind = FILE_IDENTITIES;
	} else if (yaml_get(docs.roots[0], "kind") == NULL && yaml_get(docs.roots[0], "apiVersion") == NULL &&
	    yaml_get(docs.roots[0], "metadata") == NULL) {
		kind = FILE_HOST;
	}
	problems_free(&unused);
	arena_free(&arena);
	return kind;
}

static void
check_host_file(struct check *c, const struct manifest_file *f)
{
	struct host_config *host = NULL;

	c->hosts++;
	if (host_config_parse(&host, f->name, f->data, f->len, &c->problems) == TULLE_OK && c->host == NULL)
		c->host = PTR_TAKE(host);
	(void)host_config_free(host);
}

static void
check_identities_file(struct check *c, const struct manifest_file *f)
{
	struct identities *ids = NULL;

	c->identity_files++;
	if (identities_parse(&ids, f->name, f->data, f->len, &c->problems) == TULLE_OK)
		c->identities += ids->n;
	for (size_t i = 0; ids != NULL && i < ids->n; i++) {
		const struct identity_entry *before = owner_ambiguous(ids, i);

		if (before != NULL)
			problem_warn(&c->problems, ids->items[i].place, "match",
			    "is the same as in line %u: connections of such a process speak as that one's %s", before->place.line,
			    before->service_account);
	}
	(void)identities_free(ids);
}

static enum tulle_err
check_all(struct check *c)
{
	struct snapshot_input in = { .all_local = true };
	enum tulle_err e;

	c->manifests.items = calloc(c->files.n + 1, sizeof(*c->manifests.items));
	if (c->manifests.items == NULL)
		return TULLE_ENOMEM;
	for (size_t i = 0; i < c->files.n; i++) {
		const struct manifest_file *f = &c->files.items[i];

		switch (kind_of(f)) {
		case FILE_HOST:
			check_host_file(c, f);
			break;
		case FILE_IDENTITIES:
			check_identities_file(c, f);
			break;
		case FILE_MANIFEST:
			c->manifests.items[c->manifests.n++] = *f;
			break;
		}
	}
	if (c->host == NULL) {
		e = host_config_parse(&c->host, "tulle.yaml", "", 0, &c->problems);
		if (e != TULLE_OK)
			return e;
	}
	in.files = c->manifests.items;
	in.n_files = c->manifests.n;
	in.host = c->host;
	e = snapshot_load(&c->snapshot, &in, &c->problems);
	return e == TULLE_ENOMEM ? e : TULLE_OK;
}

/* ---- telling ----------------------------------------------------------------- */

static void
print_text(const struct check *c)
{
	const struct problems *p = &c->problems;

	for (size_t i = 0; i < p->n; i++)
		(void)fprintf(stderr, "%s: %s\n", p->list[i].warning ? "warning" : "error", p->list[i].line);
	if (p->errors + p->warnings > p->n)
		(void)fprintf(stderr, "... and %zu more\n", p->errors + p->warnings - p->n);
	if (c->snapshot != NULL) {
		const struct snapshot *s = c->snapshot;

		for (int k = 0; k < OBJECT_KINDS; k++)
			if (s->objects[k] > 0)
				(void)printf("%s: %zu\n", object_kind_name((enum object_kind)k), s->objects[k]);
		if (c->manifests.n > 0)
			(void)printf("revision: %s\n", s->revision);
	}
	if (c->hosts > 0)
		(void)printf("tulle.yaml: %zu\n", c->hosts);
	if (c->identity_files > 0)
		(void)printf("identities: %zu\n", c->identities);
	(void)printf("%zu files, %zu errors, %zu warnings\n", c->files.n, p->errors, p->warnings);
}

static int
print_json(const struct check *c)
{
	const struct problems *p = &c->problems;
	json_t *root, *objects = json_object(), *list = json_array();

	for (int k = 0; c->snapshot != NULL && k < OBJECT_KINDS; k++)
		if (c->snapshot->objects[k] > 0)
			(void)json_object_set_new(objects, object_kind_name((enum object_kind)k),
			    json_integer((json_int_t)c->snapshot->objects[k]));
	for (size_t i = 0; i < p->n; i++)
		(void)json_array_append_new(list,
		    json_pack("{s:s, s:s, s:i, s:i, s:s}", "severity", p->list[i].warning ? "warning" : "error", "file",
			p->list[i].place.file, "line", (int)p->list[i].place.line, "column",
			(int)p->list[i].place.column, "text", p->list[i].line));
	root = json_pack("{s:b, s:I, s:I, s:I, s:I, s:s?, s:o, s:o}", "ok", p->errors == 0, "files",
	    (json_int_t)c->files.n, "errors", (json_int_t)p->errors, "warnings", (json_int_t)p->warnings, "identities",
	    (json_int_t)c->identities, "revision", c->snapshot != NULL ? c->snapshot->revision : NULL, "objects",
	    objects, "problems", list);
	if (root == NULL)
		return -1;
	(void)json_dumpf(root, stdout, JSON_INDENT(2));
	(void)putchar('\n');
	json_decref(root);
	return 0;
}

static int
run(int argc, char **argv, bool json)
{
	struct check c = { .host = NULL };
	enum tulle_err e;
	int status;

	problems_init(&c.problems);
	for (int i = 0; i < argc; i++)
		read_path(&c, argv[i], true);
	if (argc == 0) {
		read_path(&c, paths_etc("tulle.yaml"), false);
		read_path(&c, paths_etc("identities.yaml"), false);
		if (!manifests_read(&c.files, &c.problems))
			say_missing(&c, paths_etc("mesh.d"));
	}
	e = check_all(&c);
	status = e != TULLE_OK || c.problems.errors > 0 ? 1 : 0;
	if (e != TULLE_OK)
		(void)fprintf(stderr, "tulle check: %s\n", tulle_strerror(e));
	else if (!json)
		print_text(&c);
	else if (print_json(&c) == -1)
		status = 1;
	(void)snapshot_unref(c.snapshot);
	(void)host_config_free(c.host);
	free(c.manifests.items);
	manifest_files_free(&c.files);
	problems_free(&c.problems);
	return status;
}

int
check_main(int argc, char **argv)
{
	static const struct option options[] = { { "root", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (cli_root(argv[0], optarg) != 0)
				return CLI_WRONG;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			return 0;
		default:
			return cli_try(argv[0]);
		}
	}
	return run(argc - optind, argv + optind, json);
}
