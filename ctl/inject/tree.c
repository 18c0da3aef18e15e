/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inject/tree.h"

#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/text.h"

#define MAX_ANCHORS 1000 /* in one document: each alias looks through them */
#define STRIDE 64 /* characters between two entries of the table of bytes */

struct anchor {
	const char *name;
	struct node *node;
	struct anchor *next;
};

struct parse {
	yaml_parser_t parser;
	struct arena *arena;
	struct problems *problems;
	const char *file, *data;
	size_t len, skip;      /* bytes; <skip>: of a byte order mark, which libyaml does not see */
	uint32_t *table;       /* owned: where character i * STRIDE stands */
	size_t n_table;
	struct anchor *anchors; /* of this document, the newest first */
	size_t nodes, room, n_anchors;
	struct tree tree;
};

/* ---- positions ------------------------------------------------------------- */

static bool
begins_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

/* libyaml counts characters; pieces of text are cut by bytes. */
static enum tulle_err
make_table(struct parse *p)
{
	size_t characters = 0, n = 0;

	p->table = calloc(p->len / STRIDE + 2, sizeof(*p->table));
	if (p->table == NULL)
		return TULLE_ENOMEM;
	for (size_t i = p->skip; i < p->len; i++)
		if (begins_character(p->data[i]) && characters++ % STRIDE == 0)
			p->table[n++] = (uint32_t)i;
	if (n == 0)
		p->table[n++] = (uint32_t)p->skip;
	p->n_table = n;
	return TULLE_OK;
}

static size_t
byte_of(const struct parse *p, yaml_mark_t mark)
{
	size_t slot = mark.index / STRIDE, left = mark.index % STRIDE, at;

	if (slot >= p->n_table)
		return p->len;
	for (at = p->table[slot]; left > 0 && at < p->len; left--)
		do
			at++;
		while (at < p->len && !begins_character(p->data[at]));
	return at;
}

static struct place
place_of(const struct parse *p, yaml_mark_t mark)
{
	return (struct place){ p->file, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1 };
}

/* ---- events into nodes ------------------------------------------------------ */

static enum tulle_err
refuse(struct parse *p, yaml_mark_t mark, const char *what)
{
	problem_error(p->problems, place_of(p, mark), NULL, "%s", what);
	return TULLE_EINVAL;
}

static enum tulle_err
next_event(struct parse *p, yaml_event_t *ev)
{
	const char *context, *problem;
	yaml_mark_t mark;

	if (yaml_parser_parse(&p->parser, ev))
		return TULLE_OK;
	if (p->parser.error == YAML_MEMORY_ERROR)
		return TULLE_ENOMEM;
	context = p->parser.context;
	problem = p->parser.problem != NULL ? p->parser.problem : "cannot be read";
	mark = p->parser.error == YAML_READER_ERROR ? p->parser.mark : p->parser.problem_mark;
	problem_error(p->problems, place_of(p, mark), NULL, "not YAML: %s%s%s", problem, context != NULL ? ", " : "",
	    context != NULL ? context : "");
	return TULLE_EINVAL;
}

static const char *
copy(struct parse *p, const yaml_char_t *text)
{
	return text != NULL ? arena_text(p->arena, (const char *)text, strlen((const char *)text)) : NULL;
}

static enum tulle_err
remember_anchor(struct parse *p, struct node *n)
{
	struct anchor *a;

	if (n->anchor == NULL)
		return TULLE_OK;
	if (++p->n_anchors > MAX_ANCHORS) {
		problem_error(p->problems, n->place, NULL, "more than %d anchors (&name) in one document", MAX_ANCHORS);
		return TULLE_EINVAL;
	}
	a = arena_alloc(p->arena, sizeof(*a));
	if (a == NULL)
		return TULLE_ENOMEM;
	*a = (struct anchor){ n->anchor, n, p->anchors };
	p->anchors = a;
	return TULLE_OK;
}

static enum tulle_err
read_alias(struct parse *p, const yaml_event_t *ev, struct node *n)
{
	const struct anchor *a = p->anchors;

	n->kind = NODE_ALIAS;
	n->text = copy(p, ev->data.alias.anchor);
	if (n->text == NULL)
		return TULLE_ENOMEM;
	n->len = strlen(n->text);
	while (a != NULL && strcmp(a->name, n->text) != 0)
		a = a->next;
	if (a == NULL)
		return refuse(p, ev->start_mark, "an alias (*name) whose anchor (&name) does not stand before it");
	n->target = a->node;
	return TULLE_OK;
}

static enum tulle_err read_node(struct parse *p, const yaml_event_t *ev, unsigned int depth, struct node **ret);

/* The children of <n> up to the event <last>; in a mapping each has a key. */
static enum tulle_err
read_children(struct parse *p, struct node *n, yaml_event_type_t last, unsigned int depth)
{
	struct node **tail = &n->first, *key = NULL, *child;
	enum tulle_err e;
	yaml_event_t ev;

	for (;;) {
		e = next_event(p, &ev);
		if (e != TULLE_OK)
			return e;
		if (ev.type == last) {
			n->end = byte_of(p, ev.end_mark);
			yaml_event_delete(&ev);
			return TULLE_OK;
		}
		e = read_node(p, &ev, depth + 1, &child);
		yaml_event_delete(&ev);
		if (e != TULLE_OK)
			return e;
		if (last == YAML_MAPPING_END_EVENT && key == NULL) {
			key = child;
			continue;
		}
		child->key = PTR_TAKE(key);
		*tail = child;
		tail = &child->next;
		n->n++;
	}
}

static enum tulle_err
read_scalar(struct parse *p, const yaml_event_t *ev, struct node *n)
{
	n->kind = NODE_SCALAR;
	n->anchor = copy(p, ev->data.scalar.anchor);
	n->tag = copy(p, ev->data.scalar.tag);
	n->style = (int)ev->data.scalar.style;
	n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && n->tag == NULL;
	n->text = arena_text(p->arena, (const char *)ev->data.scalar.value, ev->data.scalar.length);
	n->len = ev->data.scalar.length;
	return n->text != NULL ? TULLE_OK : TULLE_ENOMEM;
}

/* The node that begins with <ev>. */
static enum tulle_err
read_node(struct parse *p, const yaml_event_t *ev, unsigned int depth, struct node **ret)
{
	struct node *n;
	enum tulle_err e;

	if (depth > TREE_MAX_DEPTH)
		return refuse(p, ev->start_mark, "nested too deep");
	if (++p->nodes > TREE_MAX_NODES)
		return refuse(p, ev->start_mark, "too many values in one file; divide it");
	n = arena_alloc(p->arena, sizeof(*n));
	if (n == NULL)
		return TULLE_ENOMEM;
	n->place = place_of(p, ev->start_mark);
	n->start = byte_of(p, ev->start_mark);
	n->end = byte_of(p, ev->end_mark);
	if (ev->type == YAML_SEQUENCE_START_EVENT) {
		n->kind = NODE_LIST;
		n->flow = ev->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
		n->anchor = copy(p, ev->data.sequence_start.anchor);
		n->tag = copy(p, ev->data.sequence_start.tag);
		e = read_children(p, n, YAML_SEQUENCE_END_EVENT, depth);
	} else if (ev->type == YAML_MAPPING_START_EVENT) {
		n->kind = NODE_MAP;
		n->flow = ev->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
		n->anchor = copy(p, ev->data.mapping_start.anchor);
		n->tag = copy(p, ev->data.mapping_start.tag);
		e = read_children(p, n, YAML_MAPPING_END_EVENT, depth);
	} else if (ev->type == YAML_ALIAS_EVENT) {
		e = read_alias(p, ev, n);
	} else {
		e = read_scalar(p, ev, n);
	}
	if (e == TULLE_OK)
		e = remember_anchor(p, n);
	if (e == TULLE_OK)
		*ret = n;
	return e;
}

static enum tulle_err
begin_document(struct parse *p, const yaml_event_t *ev)
{
	struct tree *t = &p->tree;
	size_t start = byte_of(p, ev->start_mark);

	if (t->n == p->room) {
		size_t room = p->room > 0 ? 2 * p->room : 4;
		struct tree_document *more = arena_array(p->arena, room, sizeof(*more));

		if (more == NULL)
			return TULLE_ENOMEM;
		if (t->n > 0)
			memcpy(more, t->documents, t->n * sizeof(*more));
		t->documents = more;
		p->room = room;
	}
	if (t->n > 0)
		t->documents[t->n - 1].end = start;
	t->documents[t->n++] = (struct tree_document){ .start = start, .end = p->len, .marked = !ev->data.document_start.implicit };
	p->anchors = NULL;
	p->n_anchors = 0;
	return TULLE_OK;
}

static enum tulle_err
read_stream(struct parse *p)
{
	struct node *root = NULL;
	enum tulle_err e;
	yaml_event_t ev;

	for (;;) {
		yaml_event_type_t type;

		e = next_event(p, &ev);
		if (e != TULLE_OK)
			return e;
		type = ev.type;
		if (type == YAML_DOCUMENT_START_EVENT) {
			e = begin_document(p, &ev);
		} else if (type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT && type != YAML_NO_EVENT &&
		    type != YAML_DOCUMENT_END_EVENT) {
			e = read_node(p, &ev, 1, &root);
			if (e == TULLE_OK && !(node_null(root) && root->start == root->end))
				p->tree.documents[p->tree.n - 1].root = root;
		}
		yaml_event_delete(&ev);
		if (e != TULLE_OK || type == YAML_STREAM_END_EVENT || type == YAML_NO_EVENT)
			return e;
	}
}

enum tulle_err
tree_parse(struct tree *ret, struct arena *arena, const char *name, const char *data, size_t len, struct problems *problems)
{
	struct parse p = { .arena = arena, .problems = problems, .file = name, .data = data, .len = len };
	const struct place whole = { name, 1, 0 };
	enum tulle_err e;

	if (len > TREE_MAX_BYTES) {
		problem_error(problems, whole, NULL, "larger than %u MiB; divide it", TREE_MAX_BYTES >> 20);
		return TULLE_EINVAL;
	}
	if (len >= 2 && (memcmp(data, "\xff\xfe", 2) == 0 || memcmp(data, "\xfe\xff", 2) == 0)) {
		problem_error(problems, whole, NULL, "is UTF-16; save it as UTF-8");
		return TULLE_EINVAL;
	}
	if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
		p.skip = 3;
	e = make_table(&p);
	if (e != TULLE_OK)
		return e;
	if (!yaml_parser_initialize(&p.parser)) {
		free(p.table);
		return TULLE_ENOMEM;
	}
	yaml_parser_set_encoding(&p.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p.parser, (const unsigned char *)(len > p.skip ? data + p.skip : ""), len - p.skip);
	e = read_stream(&p);
	yaml_parser_delete(&p.parser);
	free(p.table);
	if (e == TULLE_OK)
		*ret = p.tree;
	return e;
}
