/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/yaml.h"

#include <string.h>
#include <yaml.h>

#include "base/text.h"

struct parse {
	yaml_parser_t parser;
	struct arena *arena;
	struct problems *problems;
	const char *file;
	size_t nodes;
	struct yaml_documents docs;
	size_t docs_room;
};

static struct place
mark_place(const struct parse *p, yaml_mark_t mark)
{
	return (struct place){ p->file, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1 };
}

static enum tulle_err
next_event(struct parse *p, yaml_event_t *ev)
{
	const char *context, *problem;
	struct place at;

	if (yaml_parser_parse(&p->parser, ev))
		return TULLE_OK;
	if (p->parser.error == YAML_MEMORY_ERROR)
		return TULLE_ENOMEM;
	problem = p->parser.problem != NULL ? p->parser.problem : "cannot be read";
	context = p->parser.context;
	if (p->parser.error == YAML_READER_ERROR) { /* has no line: the reader is ahead of the parser */
		at = (struct place){ p->file, (uint32_t)p->parser.mark.line + 1, 0 };
		problem_error(p->problems, at, NULL, "not YAML: %s at or after this line", problem);
	} else {
		at = mark_place(p, p->parser.problem_mark);
		problem_error(p->problems, at, NULL, "not YAML: %s%s%s", problem, context != NULL ? ", " : "",
		    context != NULL ? context : "");
	}
	return TULLE_EINVAL;
}

static enum tulle_err
refuse(struct parse *p, const yaml_event_t *ev, const char *what)
{
	problem_error(p->problems, mark_place(p, ev->start_mark), NULL, "%s", what);
	return TULLE_EINVAL;
}

/* Anchors, aliases and tags are how a small file becomes a big tree, or a text something else. */
static enum tulle_err
check_plainness(struct parse *p, const yaml_event_t *ev)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (ev->type == YAML_ALIAS_EVENT)
		return refuse(p, ev, "an alias (*name) is not supported; write the value out");
	if (ev->type == YAML_SCALAR_EVENT) {
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
	} else if (ev->type == YAML_SEQUENCE_START_EVENT) {
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
	} else if (ev->type == YAML_MAPPING_START_EVENT) {
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
	}
	if (anchor != NULL)
		return refuse(p, ev, "an anchor (&name) is not supported; write the value out where it is used");
	if (tag != NULL)
		return refuse(p, ev, "a tag (!name) is not supported; remove it");
	if (ev->type == YAML_SCALAR_EVENT &&
	    !text_utf8_valid((const char *)ev->data.scalar.value, ev->data.scalar.length))
		return refuse(p, ev, "a text with a NUL in it is not supported");
	return TULLE_OK;
}

static enum tulle_err read_node(struct parse *p, const yaml_event_t *ev, unsigned int depth, struct yaml_node **ret);

static enum tulle_err
read_list(struct parse *p, unsigned int depth, struct yaml_node *list)
{
	struct yaml_node **tail = &list->first;
	enum tulle_err e;
	yaml_event_t ev;

	for (;;) {
		e = next_event(p, &ev);
		if (e != TULLE_OK)
			return e;
		if (ev.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&ev);
			return TULLE_OK;
		}
		e = read_node(p, &ev, depth + 1, tail);
		yaml_event_delete(&ev);
		if (e != TULLE_OK)
			return e;
		tail = &(*tail)->next;
		list->n++;
	}
}

/* The key of the next entry into *ret_key and *ret_place; NULL at the end of the mapping. */
static enum tulle_err
read_key(struct parse *p, const char **ret_key, struct place *ret_place)
{
	enum tulle_err e;
	yaml_event_t ev;

	e = next_event(p, &ev);
	if (e != TULLE_OK)
		return e;
	*ret_key = NULL;
	*ret_place = mark_place(p, ev.start_mark);
	if (ev.type == YAML_MAPPING_END_EVENT) {
		yaml_event_delete(&ev);
		return TULLE_OK;
	}
	e = check_plainness(p, &ev);
	if (e == TULLE_OK && ev.type != YAML_SCALAR_EVENT)
		e = refuse(p, &ev, "a list or mapping cannot be a key; a text is needed");
	if (e == TULLE_OK) {
		*ret_key = arena_text(p->arena, (const char *)ev.data.scalar.value, ev.data.scalar.length);
		if (*ret_key == NULL)
			e = TULLE_ENOMEM;
	}
	yaml_event_delete(&ev);
	return e;
}

static enum tulle_err
read_map(struct parse *p, unsigned int depth, struct yaml_node *map)
{
	struct yaml_node **tail = &map->first, *child;
	const struct yaml_node *twin;
	char shown[PROBLEM_SHOWN];
	struct place at;
	enum tulle_err e;
	const char *key;
	yaml_event_t ev;

	for (;;) {
		e = read_key(p, &key, &at);
		if (e != TULLE_OK || key == NULL)
			return e;
		e = next_event(p, &ev);
		if (e != TULLE_OK)
			return e;
		e = read_node(p, &ev, depth + 1, &child);
		yaml_event_delete(&ev);
		if (e != TULLE_OK)
			return e;
		twin = yaml_get(map, key);
		if (twin != NULL) { /* the tree stays usable, so that the rest of the file is checked, too */
			problem_error(p->problems, at, NULL, "%s stands here a second time; the first is in line %u",
			    problem_show(shown, key), twin->key_place.line);
			continue;
		}
		if (map->n == YAML_MAX_KEYS) {
			problem_error(p->problems, at, NULL, "more than %d keys in one mapping", YAML_MAX_KEYS);
			return TULLE_EINVAL;
		}
		child->key = key;
		child->key_place = at;
		*tail = child;
		tail = &child->next;
		map->n++;
	}
}

/* The node that begins with <ev>. */
static enum tulle_err
read_node(struct parse *p, const yaml_event_t *ev, unsigned int depth, struct yaml_node **ret)
{
	struct yaml_node *node;
	enum tulle_err e;

	e = check_plainness(p, ev);
	if (e != TULLE_OK)
		return e;
	if (depth > YAML_MAX_DEPTH)
		return refuse(p, ev, "nested too deep");
	if (++p->nodes > YAML_MAX_NODES)
		return refuse(p, ev, "too many values in one file; divide it");
	node = arena_alloc(p->arena, sizeof(*node));
	if (node == NULL)
		return TULLE_ENOMEM;
	node->place = mark_place(p, ev->start_mark);
	if (ev->type == YAML_SEQUENCE_START_EVENT) {
		node->kind = YAML_LIST;
		e = read_list(p, depth, node);
	} else if (ev->type == YAML_MAPPING_START_EVENT) {
		node->kind = YAML_MAP;
		e = read_map(p, depth, node);
	} else {
		node->kind = YAML_SCALAR;
		node->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		node->text = arena_text(p->arena, (const char *)ev->data.scalar.value, ev->data.scalar.length);
		e = node->text != NULL ? TULLE_OK : TULLE_ENOMEM;
	}
	if (e == TULLE_OK)
		*ret = node;
	return e;
}

static enum tulle_err
add_document(struct parse *p, struct yaml_node *root)
{
	struct yaml_node **more;

	if (yaml_is_null(root))
		return TULLE_OK;
	if (p->docs.n == YAML_MAX_DOCUMENTS) {
		problem_error(p->problems, root->place, NULL, "more than %d documents in one file; divide it",
		    YAML_MAX_DOCUMENTS);
		return TULLE_EINVAL;
	}
	if (p->docs.n == p->docs_room) {
		p->docs_room = p->docs_room > 0 ? 2 * p->docs_room : 4;
		more = arena_array(p->arena, p->docs_room, sizeof(struct yaml_node *));
		if (more == NULL)
			return TULLE_ENOMEM;
		if (p->docs.n > 0)
			memcpy(more, p->docs.roots, p->docs.n * sizeof(struct yaml_node *));
		p->docs.roots = more;
	}
	p->docs.roots[p->docs.n++] = root;
	return TULLE_OK;
}

static enum tulle_err
read_stream(struct parse *p)
{
	struct yaml_node *root;
	enum tulle_err e;
	yaml_event_t ev;

	for (;;) {
		yaml_event_type_t type;

		e = next_event(p, &ev);
		if (e != TULLE_OK)
			return e;
		type = ev.type;
		if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT ||
		    type == YAML_DOCUMENT_END_EVENT) {
			yaml_event_delete(&ev);
			continue;
		}
		if (type == YAML_STREAM_END_EVENT || type == YAML_NO_EVENT) {
			yaml_event_delete(&ev);
			return TULLE_OK;
		}
		e = read_node(p, &ev, 1, &root);
		yaml_event_delete(&ev);
		if (e == TULLE_OK)
			e = add_document(p, root);
		if (e != TULLE_OK)
			return e;
	}
}

enum tulle_err
yaml_parse(struct yaml_documents *ret, struct arena *arena, const char *name, const char *data, size_t len,
    struct problems *problems)
{
	struct parse p = { .arena = arena, .problems = problems, .file = name };
	size_t errors = problems->errors;
	enum tulle_err e;

	if (len > YAML_MAX_BYTES) {
		problem_error(problems, (struct place){ name, 1, 0 }, NULL, "larger than %u MiB; divide it",
		    YAML_MAX_BYTES >> 20);
		return TULLE_EINVAL;
	}
	if (!yaml_parser_initialize(&p.parser))
		return TULLE_ENOMEM;
	yaml_parser_set_encoding(&p.parser, YAML_UTF8_ENCODING); /* else a byte order mark chooses UTF-16 */
	yaml_parser_set_input_string(&p.parser, (const unsigned char *)(data != NULL ? data : ""), len);
	e = read_stream(&p);
	yaml_parser_delete(&p.parser);
	if (e != TULLE_OK)
		return e;
	*ret = p.docs;
	return problems->errors == errors ? TULLE_OK : TULLE_EINVAL;
}

struct yaml_node *
yaml_get(const struct yaml_node *map, const char *key)
{
	struct yaml_node *child;

	if (map->kind != YAML_MAP)
		return NULL;
	for (child = map->first; child != NULL; child = child->next)
		if (strcmp(child->key, key) == 0)
			return child;
	return NULL;
}

bool
yaml_is_null(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && node->plain &&
	    (*node->text == '\0' || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

/* Digits with at most a sign, a point and an exponent: what YAML takes for a number. */
static bool
looks_like_number(const char *s)
{
	bool digits = false;

	if (*s == '-' || *s == '+')
		s++;
	for (; *s != '\0'; s++) {
		if (*s >= '0' && *s <= '9')
			digits = true;
		else if (*s != '.' && !(digits && (*s == 'e' || *s == 'E') && s[1] >= '0' && s[1] <= '9'))
			return false;
		if (*s == '.' && strchr(s + 1, '.') != NULL)
			return false; /* an address */
	}
	return digits;
}

const char *
yaml_kind_name(const struct yaml_node *node)
{
	if (node->kind == YAML_LIST)
		return "a list";
	if (node->kind == YAML_MAP)
		return "a mapping";
	if (!node->plain)
		return "a text";
	if (yaml_is_null(node))
		return "empty";
	if (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0)
		return "a boolean";
	return looks_like_number(node->text) ? "a number" : "a text";
}
