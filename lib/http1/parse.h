/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * parse.h - HTTP/1 messages, read strictly: request heads, response heads,
 * and how long the body is (RFC 9110, RFC 9112).
 *
 * Pure: no socket, no clock, no allocation.  One parser serves the small
 * client and server of lib/http and the relay.  Whatever two readers could
 * understand differently is refused; the identifiers in the phrases (H1-20,
 * RS-04) are those of doc/rules.md.
 *
 * Feeding: the caller keeps the bytes of a head in one piece and calls
 * http1_parse() with all of them each time more arrive, until the answer is
 * not HTTP1_AGAIN.  Bytes are looked at once, however they are cut; the
 * answer for a sequence of bytes does not depend on the cuts.  The piece may
 * move in memory between calls.
 *
 * A head lends: all its texts point into the caller's bytes (or to constant
 * text) and are not NUL-terminated.
 */
#ifndef TULLE_HTTP1_PARSE_H
#define TULLE_HTTP1_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lent text; p is NULL if it is absent. */
struct http1_text {
	const char *p;
	size_t n;
};

#define HTTP1_TEXT(literal) ((struct http1_text){ (literal), sizeof(literal) - 1 })

enum http1_result {
	HTTP1_OK = 0, /* complete */
	HTTP1_AGAIN,  /* so far so good: more bytes are needed */
	HTTP1_DATA,   /* bodies: here is a piece (body.h) */
	/* Everything from here on ends the connection (H1-39). */
	HTTP1_E_START_LINE,       /* H1-01 */
	HTTP1_E_EMPTY_LINES,      /* H1-02 */
	HTTP1_E_METHOD,           /* H1-03 */
	HTTP1_E_VERSION,          /* H1-04: 505 */
	HTTP1_E_TARGET,           /* H1-06 */
	HTTP1_E_HOST_MISSING,     /* H1-07 */
	HTTP1_E_HOST_REPEATED,    /* H1-07 */
	HTTP1_E_HOST,             /* H1-09 */
	HTTP1_E_NAME,             /* H1-10, H1-11 */
	HTTP1_E_NO_COLON,         /* H1-11 */
	HTTP1_E_LEADING_SPACE,    /* H1-11 */
	HTTP1_E_FOLD,             /* H1-12 */
	HTTP1_E_VALUE,            /* H1-13 */
	HTTP1_E_LINE_END,         /* H1-01: a bare LF */
	HTTP1_E_START_LINE_LONG,  /* H1-16: 414 */
	HTTP1_E_NAME_LONG,        /* H1-15: 431 */
	HTTP1_E_FIELD_LONG,       /* H1-16: 431 */
	HTTP1_E_FIELDS_LONG,      /* H1-16: 431 */
	HTTP1_E_FIELDS_MANY,      /* H1-16: 431 */
	HTTP1_E_UNDERSCORE,       /* H1-17 */
	HTTP1_E_LENGTH,           /* H1-18 */
	HTTP1_E_LENGTH_REPEATED,  /* H1-19 */
	HTTP1_E_LENGTH_AND_CODING, /* H1-20 */
	HTTP1_E_CODING,           /* H1-21: 501 */
	HTTP1_E_CODING_REPEATED,  /* H1-21: 400 */
	HTTP1_E_CODING_PLACE,     /* H1-22 */
	HTTP1_E_CHUNK_SIZE,       /* H1-25 */
	HTTP1_E_CHUNK_END,        /* H1-26 */
	HTTP1_E_CHUNK_EXTENSION,  /* H1-27 */
	HTTP1_E_EXTENSIONS_LONG,  /* H1-27 */
	HTTP1_E_TRUNCATED,        /* H1-30 */
	HTTP1_E_EXPECT,           /* RS-10: 417 */
	HTTP1_E_EXPECT_REPEATED,  /* RS-10: 400 */
	HTTP1_E_STATUS_LINE,      /* RS-06 */
	HTTP1_RESULTS
};

/* "Content-Length and Transfer-Encoding in one message (H1-20)": for a log.  Never NULL. */
const char *http1_phrase(enum http1_result r);

/* The status to answer a broken request with: 400, 414, 417, 431, 501 or 505.  A broken response is always 502. */
unsigned int http1_status_for(enum http1_result r);

/* Field names with a meaning for the message itself. */
enum http1_name {
	HTTP1_OTHER = 0,
	HTTP1_CONNECTION,
	HTTP1_CONTENT_LENGTH,
	HTTP1_EXPECT,
	HTTP1_HOST,
	HTTP1_KEEP_ALIVE,
	HTTP1_PROXY_CONNECTION,
	HTTP1_TE,
	HTTP1_TRAILER,
	HTTP1_TRANSFER_ENCODING,
	HTTP1_UPGRADE,
	HTTP1_NAMES
};

#define HTTP1_BIT(id) (1u << (id))

/* Which name this is, in any case of letters. */
enum http1_name http1_name_of(const char *name, size_t n);

struct http1_field {
	struct http1_text name;  /* 1 to 256 tchar, as sent */
	struct http1_text value; /* without white space around it; may be empty */
	enum http1_name id;
};

/* What to do about an underscore in a name, which CGI-like servers take for a hyphen (H1-17). */
enum http1_underscore {
	HTTP1_UNDERSCORE_LOOKALIKE, /* refuse a name that becomes one of framing or identity; pass others */
	HTTP1_UNDERSCORE_PASS,
	HTTP1_UNDERSCORE_DROP,   /* leave such fields out of the head */
	HTTP1_UNDERSCORE_REFUSE,
};

struct http1_rules {
	size_t start_line_max;   /* bytes without CRLF */
	size_t field_max;        /* bytes of one field line without CRLF; at least 16 */
	size_t fields_max_bytes; /* all field lines with their CRLF, trailers included */
	size_t fields_max;       /* how many, trailers included */
	size_t extensions_max;   /* bytes of chunk extensions in one message */
	enum http1_underscore underscore;
	bool refuse_host_underscore; /* H1-09 */
	bool join_equal_lengths;     /* requests: "5, 5" is 5 (H1-19); responses always do */
	bool refuse_length_and_coding; /* responses: refuse instead of distrusting (RS-03) */
};

/* 8 KiB, 16 KiB, 60 KiB, 100, 4 KiB, and the strict choice of the rest (H1-16). */
extern const struct http1_rules http1_rules_default;

#define HTTP1_NAME_MAX 256
#define HTTP1_METHOD_MAX 32
#define HTTP1_FIELDS 100 /* the usual size of an array of fields */

/* The most bytes that a head can have before it is complete or refused. */
size_t http1_head_max(const struct http1_rules *r);

enum http1_form {
	HTTP1_FORM_ORIGIN,    /* /path?query */
	HTTP1_FORM_ABSOLUTE,  /* http://authority/path?query */
	HTTP1_FORM_AUTHORITY, /* host:port, CONNECT only */
	HTTP1_FORM_ASTERISK,  /* *, OPTIONS only */
};

enum http1_body_kind {
	HTTP1_BODY_NONE,
	HTTP1_BODY_LENGTH,  /* length > 0 bytes */
	HTTP1_BODY_CHUNKED,
	HTTP1_BODY_CLOSE,   /* responses: until the connection ends */
	HTTP1_BODY_TUNNEL,  /* what follows is not HTTP: 2xx to CONNECT, or 101 */
};

struct http1_head {
	/* requests */
	struct http1_text method;
	struct http1_text target;    /* as sent */
	struct http1_text authority; /* of the target, else of Host (H1-08); absent only in HTTP/1.0 */
	struct http1_text path;      /* "/..." or "*"; absent for CONNECT */
	struct http1_text query;     /* behind the '?'; p is NULL without one */
	enum http1_form form;
	bool https;                  /* the target said https: */
	bool expect_continue;

	/* responses */
	unsigned int status; /* 100 to 599; 0 in a request */
	struct http1_text reason;

	/* both */
	unsigned int minor; /* of the version: 0, or 1 for everything above */
	bool keep_alive;    /* the connection may be used for another message after this one (9112 9.3) */
	bool upgrade;       /* Connection names upgrade, and there is an Upgrade field */
	enum http1_body_kind body;
	bool has_length;    /* Content-Length was given and counts; with BODY_NONE: 0, or the answer to HEAD, or 304 */
	uint64_t length;

	struct http1_field *fields; /* the caller's array */
	size_t n;
	size_t max;
};

/* What a response answers; decides whether there is a body (RS-01, RS-02). */
enum http1_asked { HTTP1_ASKED_OTHER, HTTP1_ASKED_HEAD, HTTP1_ASKED_CONNECT };

enum http1_asked http1_asked_of(struct http1_text method);

/* Private to lib/http1 but for its size. */
struct http1_parser {
	const struct http1_rules *rules;
	struct http1_head *head;
	const char *base; /* where the bytes lay at the last call */
	size_t line;      /* offset of the line being read */
	size_t seen;      /* no LF before this offset, from line on */
	size_t bytes;     /* of field lines so far */
	size_t count;     /* of fields so far, dropped ones included */
	unsigned int stage;
	unsigned int empty_lines;
	enum http1_asked asked;
	bool response;
	bool trailers; /* only field lines, which frame nothing */
	struct {
		unsigned int hosts, lengths, codings, expects, upgrades;
		bool close, keep_alive, upgrade;
		bool bad_length, lengths_differ, bad_coding, bad_expect;
		uint64_t length;
		struct http1_text host;
	} saw;
};

/*
 * Starts on a request or on a response.  <r>, <h> and the array of <max>
 * fields are lent until the parse is over; <h> is overwritten.
 */
void http1_request_begin(struct http1_parser *p, const struct http1_rules *r, struct http1_head *h,
    struct http1_field *fields, size_t max);
void http1_response_begin(struct http1_parser *p, const struct http1_rules *r, enum http1_asked asked,
    struct http1_head *h, struct http1_field *fields, size_t max);

/*
 * Reads <n> bytes: all of the message's so far, from its first.  <data> is not NULL.
 *
 *   HTTP1_OK     the head is complete; *ret_used bytes belong to it
 *   HTTP1_AGAIN  call again with the same bytes and more behind them; the head is not valid yet
 *   others       refused
 *
 * After anything but HTTP1_AGAIN the parser is used up.
 */
enum http1_result http1_parse(struct http1_parser *p, const char *data, size_t n, size_t *ret_used);

/* The first field of that name (lower or upper case), or NULL. */
const struct http1_field *http1_find(const struct http1_head *h, const char *name);

/* Takes the fields whose ids are in <set> (HTTP1_BIT()) out of the head; the others keep their order. */
void http1_drop(struct http1_head *h, unsigned int set);

bool http1_text_is(struct http1_text t, const char *s);     /* the same bytes */
bool http1_text_is_nocase(struct http1_text t, const char *s); /* letters of ASCII in any case */

/*
 * Takes the next element of a comma-separated list off the front of *list,
 * without white space; empty elements are skipped (9110 5.6.1).  False: none left.
 */
bool http1_list_next(struct http1_text *list, struct http1_text *ret);

/*
 * Is this a good authority: name, IPv4 or bracketed IPv6, and a port (which
 * <need_port> demands)?  No user, no white space, no comma (H1-09).
 */
bool http1_authority_valid(struct http1_text a, bool need_port);

#endif
