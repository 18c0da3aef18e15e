/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls/alert.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

static const struct {
	int code;
	const char *name;
	bool about_certificate;
} alerts[] = {
	{ 0, "close_notify", false },
	{ 10, "unexpected_message", false },
	{ 20, "bad_record_mac", false },
	{ 22, "record_overflow", false },
	{ 40, "handshake_failure", false },
	{ 42, "bad_certificate", true },
	{ 43, "unsupported_certificate", true },
	{ 44, "certificate_revoked", true },
	{ 45, "certificate_expired", true },
	{ 46, "certificate_unknown", true },
	{ 47, "illegal_parameter", false },
	{ 48, "unknown_ca", true },
	{ 49, "access_denied", true },
	{ 50, "decode_error", false },
	{ 51, "decrypt_error", false },
	{ 70, "protocol_version", false },
	{ 71, "insufficient_security", false },
	{ 80, "internal_error", false },
	{ 86, "inappropriate_fallback", false },
	{ 90, "user_canceled", false },
	{ 100, "no_renegotiation", false },
	{ 109, "missing_extension", false },
	{ 110, "unsupported_extension", false },
	{ 112, "unrecognized_name", false },
	{ 113, "bad_certificate_status_response", true },
	{ 115, "unknown_psk_identity", false },
	{ 116, "certificate_required", true },
	{ 120, "no_application_protocol", false },
};

const char *
alert_name(int code)
{
	for (size_t i = 0; i < ARRAY_LEN(alerts); i++) {
		if (alerts[i].code == code)
			return alerts[i].name;
	}
	return "unknown_alert";
}

bool
alert_is_about_certificate(const char *name)
{
	for (size_t i = 0; name != NULL && i < ARRAY_LEN(alerts); i++) {
		if (strcmp(alerts[i].name, name) == 0)
			return alerts[i].about_certificate;
	}
	return false;
}
