/* SPDX-License-Identifier: GPL-3.0-or-later */
/* emit.c - a tree of tree.h as text, through libyaml. */
#include <stdint.h>
#include <yaml.h>

#include "inject/tree.h"

static int
write_out(void *arg, unsigned char *bytes, size_t n)
{
	return buf_append(arg, bytes, n) == TULLE_OK;
}

static bool
emit(yaml_emitter_t *em, yaml_event_t *ev, int made)
{
	return made && yaml_emitter_emit(em, ev);
}

static bool
emit_node(yaml_emitter_t *em, struct node *n)
{
	yaml_char_t *anchor = (yaml_char_t *)(uintptr_t)n->anchor, *tag = (yaml_char_t *)(uintptr_t)n->tag;
	yaml_event_t ev;
	bool ok;

	if (n->kind == NODE_ALIAS)
		return emit(em, &ev, yaml_alias_event_initialize(&ev, (yaml_char_t *)(uintptr_t)n->text));
	if (n->kind == NODE_SCALAR)
		return emit(em, &ev,
		    yaml_scalar_event_initialize(&ev, anchor, tag, (yaml_char_t *)(uintptr_t)n->text, (int)n->len, tag == NULL,
			tag == NULL, (yaml_scalar_style_t)n->style));
	if (n->kind == NODE_LIST)
		ok = emit(em, &ev,
		    yaml_sequence_start_event_initialize(&ev, anchor, tag, tag == NULL,
			n->flow ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE));
	else
		ok = emit(em, &ev,
		    yaml_mapping_start_event_initialize(&ev, anchor, tag, tag == NULL,
			n->flow ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE));
	for (struct node *c = n->first; ok && c != NULL; c = c->next)
		ok = (n->kind == NODE_LIST || emit_node(em, c->key)) && emit_node(em, c);
	return ok && emit(em, &ev, n->kind == NODE_LIST ? yaml_sequence_end_event_initialize(&ev) : yaml_mapping_end_event_initialize(&ev));
}

enum tulle_err
tree_emit(struct buf *out, const struct tree_document *d)
{
	yaml_emitter_t em;
	yaml_event_t ev;
	bool ok;

	if (!yaml_emitter_initialize(&em))
		return TULLE_ENOMEM;
	yaml_emitter_set_output(&em, write_out, out);
	yaml_emitter_set_unicode(&em, 1);
	yaml_emitter_set_width(&em, -1);
	ok = emit(&em, &ev, yaml_stream_start_event_initialize(&ev, YAML_UTF8_ENCODING)) &&
	    emit(&em, &ev, yaml_document_start_event_initialize(&ev, NULL, NULL, NULL, !d->marked)) && emit_node(&em, d->root) &&
	    emit(&em, &ev, yaml_document_end_event_initialize(&ev, 1)) && emit(&em, &ev, yaml_stream_end_event_initialize(&ev)) &&
	    yaml_emitter_flush(&em);
	yaml_emitter_delete(&em);
	return ok ? TULLE_OK : TULLE_ELIMIT;
}
