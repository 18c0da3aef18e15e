/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * err.h - the names of everything that can go wrong, and their phrases.
 *
 * Functions of lib/ return an enum tulle_err; TULLE_OK is 0, so that
 * "if (e)" reads as "if it failed".  Output parameters are named ret_* and
 * are left alone on failure.
 */
#ifndef TULLE_BASE_ERR_H
#define TULLE_BASE_ERR_H

enum tulle_err {
	TULLE_OK = 0,
	TULLE_AGAIN,      /* not yet: come back when a descriptor or timer says so */
	TULLE_EOF,        /* the other side finished in good order */
	TULLE_EINVAL,     /* the caller's or the operator's input is wrong */
	TULLE_ENOMEM,
	TULLE_ESYS,       /* a system call failed; errno tells which way */
	TULLE_EPEER,      /* bytes from a peer that no honest peer would send */
	TULLE_EDENIED,    /* policy says no */
	TULLE_ENOENT,     /* there is no such thing */
	TULLE_EEXIST,     /* there is one already */
	TULLE_ETIMEDOUT,  /* a deadline passed */
	TULLE_ELIMIT,     /* a configured bound was reached */
	TULLE_EBUSY,      /* somebody else holds it */
	TULLE_EUNAVAIL,   /* nobody is there to do it */
	TULLE_ECRYPTO,    /* the TLS library refused */
	TULLE_ERESET,     /* the other side broke off */
	TULLE_EDAMAGED,   /* what was stored is not what was written */
};

/* A short phrase in lower case, never NULL. */
const char *tulle_strerror(enum tulle_err e);

#endif
