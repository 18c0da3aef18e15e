/* SPDX-License-Identifier: GPL-3.0-or-later */
/* destination.h - how a destination is named on the command line. */
#ifndef TULLE_CTL_DOCTOR_DESTINATION_H
#define TULLE_CTL_DOCTOR_DESTINATION_H

#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

struct destination {
	struct addr addr; /* family 0: by name; its port is 0 */
	char ns[64];      /* "" : any */
	char name[254];
	uint16_t port;    /* 0: all of the service's */
};

/* "web", "web:80", "shop/web", "shop/web:80", "10.96.0.7", "10.96.0.7:80", "[fd00::7]:80".  Pure.  TULLE_EINVAL. */
enum tulle_err destination_parse(struct destination *ret, const char *text);

#endif
