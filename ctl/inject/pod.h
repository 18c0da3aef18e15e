/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pod.h - the pods of a manifest: where each kind has its pod, and what of
 * it is of interest here.
 */
#ifndef TULLE_CTL_INJECT_POD_H
#define TULLE_CTL_INJECT_POD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "inject/tree.h"
#include "manifest/problem.h"

#define POD_PATH 64

struct pod {
	struct node *object;      /* the Deployment, Pod, ... */
	struct node *frame;       /* has metadata and spec: the template, or the Pod itself */
	struct node *metadata;    /* NULL: there is none, or nothing in it */
	struct node *annotations; /* NULL: the same */
	struct node *spec;        /* a mapping that stands where it is */
	const char *kind;         /* lent, as all texts here */
	const char *name;         /* of the object; NULL: it has none yet */
	const char *namespace;    /* or NULL: that is decided elsewhere */
	char path[POD_PATH];      /* "spec.template.": before "metadata" and "spec" */
	size_t start, end;        /* bytes of the text that are this object's; end is where the next begins */
};

/*
 * The pods of <d>, through Lists, in the order of the text; a document of
 * another kind has none.  What is called a pod and has no spec, a key that
 * stands twice in it, or a part that stands elsewhere (*alias) where it would have to be
 * changed, is an error in <problems>.
 *
 *   TULLE_OK      *ret (of <ret_n>) lives in <arena>
 *   TULLE_EINVAL  see <problems>
 *   TULLE_ENOMEM
 */
enum tulle_err pods_find(struct pod **ret, size_t *ret_n, struct arena *arena, const struct tree_document *d,
    struct problems *problems);

/* The annotation tulle.mesh/<name>; NULL: none. */
struct node *pod_annotation(const struct pod *p, const char *name);

/* Does it come to an end by itself: a job, or a pod that is not started again? */
bool pod_ends(const struct pod *p);

/* "Deployment shop"; <out> is PROBLEM_SHOWN long.  Returns it. */
const char *pod_title(char out[PROBLEM_SHOWN], const struct pod *p);

/* "spec.template.spec.hostNetwork"; <out> has room for POD_FIELD.  Returns it. */
#define POD_FIELD 200
const char *pod_field(char out[POD_FIELD], const struct pod *p, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Each container of a list of the spec ("containers"); <n> may be an alias.  Nothing for what is no list. */
#define POD_EACH_CONTAINER(p, list, n) \
	for (struct node *l_ = node_get((p)->spec, list), *n = l_ != NULL && l_->kind == NODE_LIST ? l_->first : NULL; n != NULL; \
	     n = n->next)

#endif
