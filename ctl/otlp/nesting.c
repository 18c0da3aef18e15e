/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "otlp/nesting.h"

struct cursor {
	const uint8_t *p;
	size_t n;
};

static bool
take_varint(struct cursor *c, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64 && c->n > 0; shift += 7) {
		uint8_t b = *c->p++;

		c->n--;
		v |= (uint64_t)(b & 0x7f) << shift;
		if ((b & 0x80) == 0) {
			*ret = v;
			return true;
		}
	}
	return false;
}

static bool
skip(struct cursor *c, uint64_t n)
{
	if (n > c->n)
		return false;
	c->p += n;
	c->n -= (size_t)n;
	return true;
}

static const ProtobufCMessageDescriptor *
submessage(const ProtobufCMessageDescriptor *type, uint64_t field)
{
	const ProtobufCFieldDescriptor *f;

	if (field > UINT32_MAX >> 3)
		return NULL;
	f = protobuf_c_message_descriptor_get_field(type, (unsigned int)field);
	return f != NULL && f->type == PROTOBUF_C_TYPE_MESSAGE ? f->descriptor : NULL;
}

bool
nesting_within(const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t n, unsigned int depth)
{
	struct cursor c = { p, n };
	const ProtobufCMessageDescriptor *inner;
	uint64_t tag, v;

	if (depth == 0)
		return false;
	while (c.n > 0) {
		if (!take_varint(&c, &tag))
			return false;
		switch (tag & 7) {
		case 0:
			if (!take_varint(&c, &v))
				return false;
			break;
		case 1:
			if (!skip(&c, 8))
				return false;
			break;
		case 2:
			if (!take_varint(&c, &v) || v > c.n)
				return false;
			inner = submessage(type, tag >> 3);
			if (inner != NULL && !nesting_within(inner, c.p, (size_t)v, depth - 1))
				return false;
			(void)skip(&c, v);
			break;
		case 5:
			if (!skip(&c, 4))
				return false;
			break;
		default:
			return false; /* groups are not of this format */
		}
	}
	return true;
}
