/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nesting.h - how deep the messages of a protobuf message go, before anything recurses over it. */
#ifndef TULLE_CTL_OTLP_NESTING_H
#define TULLE_CTL_OTLP_NESTING_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/*
 * Is <n> bytes of <p>, read as a <type>, nested no deeper than <depth>?
 * False too for bytes that cannot be walked.  protobuf-c itself recurses as
 * deeply as the sender likes, and a few megabytes are enough for any stack.
 */
bool nesting_within(const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t n, unsigned int depth);

#endif
