/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/rules.h"

#include <ctype.h>
#include <string.h>

#include "base/addr.h"
#include "base/text.h"
#include "manifest/host.h"
#include "manifest/objects.h"

/* ---- texts ------------------------------------------------------------------ */

static bool
lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
letter_or_digit(char c)
{
	return lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool
label_ok(const char *s, size_t n)
{
	if (n == 0 || n > 63 || !lower_or_digit(s[0]) || !lower_or_digit(s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!lower_or_digit(s[i]) && s[i] != '-')
			return false;
	return true;
}

static bool
dns_name_ok(const char *s, size_t n)
{
	const char *dot;

	if (n > 253)
		return false;
	while ((dot = memchr(s, '.', n)) != NULL) {
		if (!label_ok(s, (size_t)(dot - s)))
			return false;
		n -= (size_t)(dot - s) + 1;
		s = dot + 1;
	}
	return label_ok(s, n);
}

static bool
is_dns_label(const char *s)
{
	return label_ok(s, strlen(s));
}

static bool
is_dns_name(const char *s)
{
	return dns_name_ok(s, strlen(s));
}

static bool
is_port_name(const char *s)
{
	bool letter = false;

	if (strlen(s) > 15 || !label_ok(s, strlen(s)) || strstr(s, "--") != NULL)
		return false;
	for (; *s != '\0'; s++)
		letter = letter || (*s >= 'a' && *s <= 'z');
	return letter;
}

/* What follows the slash of a key, or a value: begins and ends with a letter or digit. */
static bool
qualified_ok(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > 63 || !letter_or_digit(s[0]) || !letter_or_digit(s[n - 1]))
		return false;
	for (; *s != '\0'; s++)
		if (!letter_or_digit(*s) && *s != '-' && *s != '_' && *s != '.')
			return false;
	return true;
}

static bool
is_label_key(const char *s)
{
	const char *slash = strchr(s, '/');

	if (slash == NULL)
		return qualified_ok(s);
	return dns_name_ok(s, (size_t)(slash - s)) && qualified_ok(slash + 1);
}

static bool
is_label_value(const char *s)
{
	return *s == '\0' || qualified_ok(s);
}

static bool
is_trust_domain(const char *s)
{
	if (*s == '\0' || strlen(s) > 255)
		return false;
	for (; *s != '\0'; s++)
		if (!lower_or_digit(*s) && *s != '.' && *s != '-' && *s != '_')
			return false;
	return true;
}

static bool
is_namespaced(const char *s)
{
	const char *slash = strchr(s, '/');

	return slash != NULL && label_ok(s, (size_t)(slash - s)) && is_dns_name(slash + 1);
}

static bool
is_identity(const char *s)
{
	const char *slash;

	if (strncmp(s, "ns/", 3) != 0)
		return false;
	s += 3;
	slash = strchr(s, '/');
	return slash != NULL && label_ok(s, (size_t)(slash - s)) && strncmp(slash, "/sa/", 4) == 0 &&
	    is_dns_name(slash + 4);
}

static bool
is_user(const char *s)
{
	uint64_t id;

	if (*s == '\0' || strlen(s) > 32 || *s == '-')
		return false;
	if (isdigit((unsigned char)*s)) /* the last number stands for "no user" in system calls */
		return text_uint(s, UINT32_MAX - 1, &id) == TULLE_OK;
	for (; *s != '\0'; s++)
		if (!letter_or_digit(*s) && *s != '-' && *s != '_' && *s != '.')
			return false;
	return true;
}

static bool
is_unit(const char *s)
{
	const char *dot = strrchr(s, '.');

	if (dot == NULL || dot == s || dot[1] == '\0' || strlen(s) > 255)
		return false;
	for (; *s != '\0'; s++)
		if (!letter_or_digit(*s) && strchr(":-_.\\@", *s) == NULL)
			return false;
	return true;
}

static bool
is_http_url(const char *s)
{
	const char *host;

	if (strncmp(s, "http://", 7) == 0)
		host = s + 7;
	else if (strncmp(s, "https://", 8) == 0)
		host = s + 8;
	else
		return false;
	if (*host == '\0' || *host == '/' || *host == ':' || strlen(s) > 1024)
		return false;
	for (; *s != '\0'; s++)
		if (!isgraph((unsigned char)*s) || strchr("\"<>\\^`{|}", *s) != NULL)
			return false;
	return true;
}

static bool
is_default(const char *s)
{
	return strcmp(s, "only") == 0 || is_identity(s);
}

static bool
is_word(const char *s)
{
	const size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!isgraph((unsigned char)s[i]))
			return false;
	return n > 0 && n <= 255;
}

static bool
is_socket_name(const char *s)
{
	const size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && (i == 0 || strchr("._-", s[i]) == NULL))
			return false;
	return n > 0 && n <= 63;
}

static bool
is_path(const char *s)
{
	return s[0] == '/' && s[1] != '\0' && strlen(s) <= 1024;
}

static bool
is_unix_url(const char *s)
{
	return strncmp(s, "unix:///", 8) == 0 && is_path(s + 7) && strlen(s + 7) <= 107; /* sun_path */
}

static bool
is_endpoint(const char *s)
{
	struct addr a;
	const char *colon = strrchr(s, ':');
	char host[254];
	uint64_t port;

	if (addr_parse(&a, s) == TULLE_OK)
		return a.port != 0 && !addr_is_any(&a);
	if (colon == NULL || (size_t)(colon - s) >= sizeof(host) || text_uint(colon + 1, 65535, &port) != TULLE_OK || port == 0)
		return false;
	memcpy(host, s, (size_t)(colon - s));
	host[colon - s] = '\0';
	/* Digits and dots alone are an address that is not right, not a name. */
	return is_dns_name(host) && strspn(host, "0123456789.") != strlen(host);
}

static bool
is_key_set(const char *s)
{
	return is_path(s) || is_http_url(s);
}

const struct text_rule rule_dns_label = { is_dns_label, "a DNS label (a-z, 0-9 and -, at most 63 bytes)" };
const struct text_rule rule_dns_name = { is_dns_name, "a DNS name (labels of a-z, 0-9 and -, joined by dots)" };
const struct text_rule rule_port_name = { is_port_name,
	"a port name (a-z, 0-9 and -, with a letter, at most 15 bytes)" };
const struct text_rule rule_label_key = { is_label_key, "a label key, such as app or app.kubernetes.io/name" };
const struct text_rule rule_label_value = { is_label_value,
	"a label value (letters, digits, -, _ and ., at most 63 bytes)" };
const struct text_rule rule_trust_domain = { is_trust_domain, "a trust domain (a-z, 0-9, ., - and _)" };
const struct text_rule rule_identity = { is_identity, "ns/NAMESPACE/sa/SERVICEACCOUNT" };
const struct text_rule rule_namespaced = { is_namespaced, "NAMESPACE/SERVICEACCOUNT" };
const struct text_rule rule_user = { is_user, "a user's name or number" };
const struct text_rule rule_unit = { is_unit, "the name of a systemd unit, such as cart.service" };
const struct text_rule rule_http_url = { is_http_url, "a URL, such as http://127.0.0.1:4318" };

const struct text_rule rule_default = { is_default, "ns/NAMESPACE/sa/SERVICEACCOUNT, or only" };
const struct text_rule rule_path = { is_path, "an absolute path, such as /etc/tulle/file" };
const struct text_rule rule_unix_url = { is_unix_url, "a Unix socket, such as unix:///run/spire/agent.sock" };
const struct text_rule rule_endpoint = { is_endpoint, "an address and a port, such as 10.0.0.1:15012 or authority.example:15012" };
const struct text_rule rule_key_set = { is_key_set, "an absolute path or a URL" };
const struct text_rule rule_socket_name = { is_socket_name, "a name (letters, digits, ., - and _, at most 63 bytes)" };
const struct text_rule rule_word = { is_word, "a text without blanks, at most 255 bytes" };

/* ---- values ----------------------------------------------------------------- */

static bool
parse_duration(void *out, const char *text, struct arena *arena)
{
	(void)arena;
	return text_duration(text, out) == TULLE_OK;
}

static bool
parse_pin(void *out, const char *text, struct arena *arena)
{
	struct root_pin *pin = out;

	(void)arena;
	pin->given = strncmp(text, "sha256:", 7) == 0 && strlen(text) == 7 + 2 * sizeof(pin->hash) &&
	    text_unhex(text + 7, pin->hash, sizeof(pin->hash)) == TULLE_OK;
	return pin->given;
}

static bool
parse_ttl(void *out, const char *text, struct arena *arena)
{
	const uint64_t least = 10 * 1000, most = UINT64_C(366) * 24 * 3600 * 1000;
	uint64_t ms;

	(void)arena;
	if (text_duration(text, &ms) != TULLE_OK || ms < least || ms > most)
		return false;
	memcpy(out, &ms, sizeof(ms));
	return true;
}

static bool
parse_size(void *out, const char *text, struct arena *arena)
{
	(void)arena;
	return text_size(text, out) == TULLE_OK;
}

/* "1%", "0.25%", "100%": at most four digits behind the point, so that it is a whole number of millionths. */
static bool
parse_percent(void *out, const char *text, struct arena *arena)
{
	uint32_t ppm = 0, unit = 10000;
	size_t digits = 0;

	(void)arena;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (++digits > 3)
			return false;
		ppm = ppm * 10 + (uint32_t)(*text - '0') * 10000;
	}
	if (digits == 0)
		return false;
	if (*text == '.') {
		text++;
		for (digits = 0; *text >= '0' && *text <= '9'; text++) {
			if (++digits > 4)
				return false;
			unit /= 10;
			ppm += (uint32_t)(*text - '0') * unit;
		}
		if (digits == 0)
			return false;
	}
	if (strcmp(text, "%") != 0 || ppm > 1000000)
		return false;
	memcpy(out, &ppm, sizeof(ppm));
	return true;
}

static bool
parse_ip(void *out, const char *text, struct arena *arena)
{
	(void)arena;
	return addr_parse_ip(out, text) == TULLE_OK;
}

static bool
parse_cluster_ip(void *out, const char *text, struct arena *arena)
{
	if (strcmp(text, "None") == 0) {
		memset(out, 0, sizeof(struct addr));
		return true;
	}
	return parse_ip(out, text, arena);
}

static bool
parse_cidr(void *out, const char *text, struct arena *arena)
{
	(void)arena;
	return cidr_parse(out, text) == TULLE_OK;
}

static bool
parse_listen(void *out, const char *text, struct arena *arena)
{
	struct listen_at l = { .on = true };
	uint64_t port;

	(void)arena;
	if (strcmp(text, "off") == 0) {
		l.on = false;
	} else if (*text == ':') {
		if (text[1] == '0' || text_uint(text + 1, 65535, &port) != TULLE_OK)
			return false;
		l.at.port = (uint16_t)port;
	} else if (addr_parse(&l.at, text) != TULLE_OK) {
		return false;
	}
	memcpy(out, &l, sizeof(l));
	return true;
}

static bool
parse_port_ref(void *out, const char *text, struct arena *arena)
{
	struct port_ref r = { 0 };
	uint64_t port;

	if (*text >= '1' && *text <= '9' && text_uint(text, 65535, &port) == TULLE_OK) {
		r.number = (uint32_t)port;
	} else {
		if (!is_port_name(text))
			return false;
		r.name = arena_text(arena, text, strlen(text));
		if (r.name == NULL)
			return false;
	}
	memcpy(out, &r, sizeof(r));
	return true;
}

static bool
parse_pattern(void *out, const char *text, struct arena *arena)
{
	struct pattern p = { .how = PATTERN_EXACT, .len = strlen(text) };

	if (p.len == 0 || p.len > 2048)
		return false;
	for (const char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
			return false; /* no identity has such a character */
	if (strcmp(text, "*") == 0) {
		p.how = PATTERN_PRESENT;
		p.len = 0;
	} else if (*text == '*') {
		p.how = PATTERN_SUFFIX;
		text++;
		p.len--;
	} else if (text[p.len - 1] == '*') {
		p.how = PATTERN_PREFIX;
		p.len--;
	}
	if (memchr(text, '*', p.len) != NULL)
		return false;
	p.text = arena_text(arena, text, p.len);
	if (p.text == NULL)
		return false;
	memcpy(out, &p, sizeof(p));
	return true;
}

static bool
parse_principal(void *out, const char *text, struct arena *arena)
{
	return strncmp(text, "spiffe:", 7) != 0 && parse_pattern(out, text, arena);
}

static bool
parse_account(void *out, const char *text, struct arena *arena)
{
	const char *slash = strchr(text, '/');
	struct account_name a = { 0 };

	if (slash != NULL) {
		if (!is_namespaced(text))
			return false;
		a.namespace = arena_text(arena, text, (size_t)(slash - text));
		text = slash + 1;
		if (a.namespace == NULL)
			return false;
	} else if (!is_dns_name(text)) {
		return false;
	}
	a.account = arena_text(arena, text, strlen(text));
	if (a.account == NULL)
		return false;
	memcpy(out, &a, sizeof(a));
	return true;
}

const struct value_rule value_duration = { parse_duration, "a duration, such as 30s or 1h30m" };
const struct value_rule value_pin = { parse_pin, "sha256: and 64 hexadecimal digits, as tulle status prints it on the authority" };
const struct value_rule value_ttl = { parse_ttl, "a duration of at least 10s, such as 24h" };
const struct value_rule value_size = { parse_size, "a size, such as 256MiB" };
const struct value_rule value_percent = { parse_percent, "a percentage from 0% to 100%, such as 1% or 0.5%" };
const struct value_rule value_ip = { parse_ip, "an IP address, such as 10.0.0.2 or fd00::2" };
const struct value_rule value_cluster_ip = { parse_cluster_ip, "an IP address, or None for a headless service" };
const struct value_rule value_cidr = { parse_cidr, "an address block, such as 10.0.0.0/8 or fd00::/8" };
const struct value_rule value_listen = { parse_listen, "ADDRESS:PORT, :PORT or off" };
const struct value_rule value_port_ref = { parse_port_ref, "a port's number from 1 to 65535 or its name" };
const struct value_rule value_pattern = { parse_pattern, "a text, with a star at its beginning or end at most" };
const struct value_rule value_principal = { parse_principal,
	"TRUSTDOMAIN/ns/NAMESPACE/sa/SERVICEACCOUNT without \"spiffe://\", with a star at its beginning or end at most" };
const struct value_rule value_account = { parse_account, "NAMESPACE/SERVICEACCOUNT or SERVICEACCOUNT, without a star" };
