/* SPDX-License-Identifier: GPL-3.0-or-later */
/* result.c - phrases and statuses of everything that a reader can say. */
#include "http1/parse.h"

const char *
http1_phrase(enum http1_result r)
{
	switch (r) { /* no default: the compiler names the one we forgot */
	case HTTP1_OK:
		return "complete";
	case HTTP1_AGAIN:
		return "more bytes are needed";
	case HTTP1_DATA:
		return "a piece of the body";
	case HTTP1_E_START_LINE:
		return "request line is not 'METHOD TARGET HTTP/1.x' with single spaces (H1-01)";
	case HTTP1_E_EMPTY_LINES:
		return "more than two empty lines before the request (H1-02)";
	case HTTP1_E_METHOD:
		return "method is not a token of at most 32 characters (H1-03)";
	case HTTP1_E_VERSION:
		return "version is not HTTP/1.x (H1-04)";
	case HTTP1_E_TARGET:
		return "malformed request target (H1-06)";
	case HTTP1_E_HOST_MISSING:
		return "no Host (H1-07)";
	case HTTP1_E_HOST_REPEATED:
		return "more than one Host (H1-07)";
	case HTTP1_E_HOST:
		return "Host is not a name or address with an optional port (H1-09)";
	case HTTP1_E_NAME:
		return "malformed field name (H1-10, H1-11)";
	case HTTP1_E_NO_COLON:
		return "field without a colon (H1-11)";
	case HTTP1_E_LEADING_SPACE:
		return "white space before the first field (H1-11)";
	case HTTP1_E_FOLD:
		return "folded field (H1-12)";
	case HTTP1_E_VALUE:
		return "control character in a field value (H1-13)";
	case HTTP1_E_LINE_END:
		return "line does not end in CRLF (H1-01)";
	case HTTP1_E_START_LINE_LONG:
		return "start line too long (H1-16)";
	case HTTP1_E_NAME_LONG:
		return "field name too long (H1-15)";
	case HTTP1_E_FIELD_LONG:
		return "field too long (H1-16)";
	case HTTP1_E_FIELDS_LONG:
		return "fields too long in total (H1-16)";
	case HTTP1_E_FIELDS_MANY:
		return "too many fields (H1-16)";
	case HTTP1_E_UNDERSCORE:
		return "underscore in a field name (H1-17)";
	case HTTP1_E_LENGTH:
		return "malformed Content-Length (H1-18, RS-04)";
	case HTTP1_E_LENGTH_REPEATED:
		return "Content-Length given more than once (H1-19, RS-04)";
	case HTTP1_E_LENGTH_AND_CODING:
		return "Content-Length and Transfer-Encoding in one message (H1-20, RS-03)";
	case HTTP1_E_CODING:
		return "Transfer-Encoding is not 'chunked' (H1-21)";
	case HTTP1_E_CODING_REPEATED:
		return "Transfer-Encoding given more than once (H1-21)";
	case HTTP1_E_CODING_PLACE:
		return "body framing in HTTP/1.0 or on CONNECT (H1-22)";
	case HTTP1_E_CHUNK_SIZE:
		return "malformed chunk size (H1-25)";
	case HTTP1_E_CHUNK_END:
		return "chunk does not end in CRLF (H1-26)";
	case HTTP1_E_CHUNK_EXTENSION:
		return "malformed chunk extension (H1-27)";
	case HTTP1_E_EXTENSIONS_LONG:
		return "chunk extensions too long in total (H1-27)";
	case HTTP1_E_TRUNCATED:
		return "connection ended inside a message (H1-30, RS-05)";
	case HTTP1_E_EXPECT:
		return "Expect is not '100-continue' (RS-10)";
	case HTTP1_E_EXPECT_REPEATED:
		return "Expect given more than once (RS-10)";
	case HTTP1_E_STATUS_LINE:
		return "status line is not 'HTTP/1.x 100-599 reason' (RS-06)";
	case HTTP1_RESULTS:
		break;
	}
	return "unknown";
}

unsigned int
http1_status_for(enum http1_result r)
{
	switch ((int)r) { /* 400 is the rule, these are the exceptions */
	case HTTP1_E_VERSION:
		return 505;
	case HTTP1_E_START_LINE_LONG:
		return 414;
	case HTTP1_E_NAME_LONG:
	case HTTP1_E_FIELD_LONG:
	case HTTP1_E_FIELDS_LONG:
	case HTTP1_E_FIELDS_MANY:
		return 431;
	case HTTP1_E_CODING:
		return 501;
	case HTTP1_E_EXPECT:
		return 417;
	default:
		return 400;
	}
}
