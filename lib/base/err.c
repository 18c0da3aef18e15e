/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"

const char *
tulle_strerror(enum tulle_err e)
{
	switch (e) { /* no default: -Wswitch names the one we forgot */
	case TULLE_OK:
		return "ok";
	case TULLE_AGAIN:
		return "would block";
	case TULLE_EOF:
		return "end of stream";
	case TULLE_EINVAL:
		return "invalid argument";
	case TULLE_ENOMEM:
		return "out of memory";
	case TULLE_ESYS:
		return "system call failed";
	case TULLE_EPEER:
		return "malformed input";
	case TULLE_EDENIED:
		return "denied by policy";
	case TULLE_ENOENT:
		return "not found";
	case TULLE_EEXIST:
		return "exists already";
	case TULLE_ETIMEDOUT:
		return "timed out";
	case TULLE_ELIMIT:
		return "limit reached";
	case TULLE_EBUSY:
		return "busy";
	case TULLE_EUNAVAIL:
		return "unavailable";
	case TULLE_ECRYPTO:
		return "cryptographic failure";
	case TULLE_ERESET:
		return "connection reset";
	case TULLE_EDAMAGED:
		return "damaged";
	}
	return "unknown error";
}
