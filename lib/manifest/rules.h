/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rules.h - what texts of a file may look like, shared by all schema tables.
 * Every rule carries the words that tell a person what would be right.
 */
#ifndef TULLE_MANIFEST_RULES_H
#define TULLE_MANIFEST_RULES_H

#include "manifest/schema.h"

extern const struct text_rule rule_dns_label;    /* RFC 1123, 63 bytes */
extern const struct text_rule rule_dns_name;     /* labels with dots, 253 bytes */
extern const struct text_rule rule_port_name;    /* 15 bytes with a letter (RFC 6335) */
extern const struct text_rule rule_label_key;    /* "app", "app.kubernetes.io/name" */
extern const struct text_rule rule_label_value;  /* empty, or 63 bytes */
extern const struct text_rule rule_trust_domain; /* SPIFFE-ID section 2.1 */
extern const struct text_rule rule_identity;     /* "ns/NS/sa/SA" */
extern const struct text_rule rule_namespaced;   /* "NS/SA" */
extern const struct text_rule rule_user;         /* a user's name or number */
extern const struct text_rule rule_unit;         /* "cart.service" */
extern const struct text_rule rule_http_url;     /* "http://127.0.0.1:4318" */
extern const struct text_rule rule_default;      /* "ns/NS/sa/SA", or "only" */
extern const struct text_rule rule_path;         /* absolute, 1024 bytes */
extern const struct text_rule rule_unix_url;     /* "unix:///run/x.sock", as long as a Unix socket's name may be */
extern const struct text_rule rule_endpoint;     /* "10.0.0.1:15012", "[::1]:15012", "authority.example:15012" */
extern const struct text_rule rule_key_set;      /* an absolute path, or a URL */
extern const struct text_rule rule_socket_name;  /* a file's name, 63 bytes, no dot in front */
extern const struct text_rule rule_word;         /* a text without blanks, 255 bytes: an issuer, an audience */

extern const struct value_rule value_duration;   /* uint64_t, milliseconds */
extern const struct value_rule value_ttl;        /* the same, at least 10 s and at most a year */
extern const struct value_rule value_size;       /* uint64_t, bytes */
extern const struct value_rule value_percent;    /* uint32_t, parts per million */
extern const struct value_rule value_ip;         /* struct addr */
extern const struct value_rule value_cluster_ip; /* struct addr; family 0 for "None" */
extern const struct value_rule value_cidr;       /* struct cidr */
extern const struct value_rule value_listen;     /* struct listen_at */
extern const struct value_rule value_pin;        /* struct root_pin, from "sha256:HEX" */
extern const struct value_rule value_port_ref;   /* struct port_ref */
extern const struct value_rule value_pattern;    /* struct pattern */
extern const struct value_rule value_principal;  /* struct pattern, without "spiffe://" */
extern const struct value_rule value_account;    /* struct account_name; namespace NULL if not given */

#endif
