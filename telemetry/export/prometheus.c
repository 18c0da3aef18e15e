/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/prometheus.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_LEN 128

/* The name of one output; errors are kept and looked at once, at the end. */
struct writer {
	struct buf *out;
	bool openmetrics;
	enum tulle_err err;
};

static void
put(struct writer *w, const void *p, size_t n)
{
	if (w->err == TULLE_OK)
		w->err = buf_append(w->out, p, n);
}

static void
put_text(struct writer *w, const char *s)
{
	put(w, s, strlen(s));
}

static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void
put_name(struct writer *w, const char *dotted)
{
	char name[NAME_MAX_LEN];
	size_t n = 0;

	if (*dotted >= '0' && *dotted <= '9')
		name[n++] = '_';
	for (; *dotted != '\0' && n < sizeof(name); dotted++)
		name[n++] = is_name_char(*dotted) ? *dotted : '_';
	put(w, name, n);
}

/* Backslash, newline, and in values the quote. */
static void
put_escaped(struct writer *w, const char *s, bool quote)
{
	for (; *s != '\0'; s++) {
		if (*s == '\\')
			put_text(w, "\\\\");
		else if (*s == '\n')
			put_text(w, "\\n");
		else if (*s == '"' && quote)
			put_text(w, "\\\"");
		else
			put(w, s, 1);
	}
}

static void
put_number(struct writer *w, double v)
{
	char text[40];

	if (isnan(v))
		put_text(w, "NaN");
	else if (isinf(v))
		put_text(w, v > 0 ? "+Inf" : "-Inf");
	else {
		/* Counts in full, fractions as short as they are exact. */
		(void)snprintf(text, sizeof(text), v == floor(v) && fabs(v) < 1e18 ? "%.0f" : "%.12g", v);
		put_text(w, text);
	}
}

/* The unit in words, which becomes a part of the name; NULL: none. */
static const char *
unit_word(const struct metric_family *f)
{
	if (strcmp(f->unit, "s") == 0)
		return "seconds";
	if (strcmp(f->unit, "By") == 0)
		return "bytes";
	return NULL;
}

static void
put_family_name(struct writer *w, const struct metric_family *f)
{
	const char *unit = unit_word(f);

	put_name(w, f->name);
	if (unit != NULL) {
		put_text(w, "_");
		put_text(w, unit);
	}
}

static void
put_head(struct writer *w, const struct metric_family *f)
{
	static const char *const types[] = { [METRIC_COUNTER] = "counter", [METRIC_LEVEL] = "gauge",
		[METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram" };
	/* In OpenMetrics _total belongs to the sample, in 0.0.4 to the name. */
	const char *total = f->type == METRIC_COUNTER && !w->openmetrics ? "_total" : "", *unit = unit_word(f);

	put_text(w, "# HELP ");
	put_family_name(w, f);
	put_text(w, total);
	put_text(w, " ");
	put_escaped(w, f->help, w->openmetrics);
	put_text(w, "\n# TYPE ");
	put_family_name(w, f);
	put_text(w, total);
	put_text(w, " ");
	put_text(w, types[f->type]);
	put_text(w, "\n");
	if (w->openmetrics && unit != NULL) {
		put_text(w, "# UNIT ");
		put_family_name(w, f);
		put_text(w, " ");
		put_text(w, unit);
		put_text(w, "\n");
	}
}

/* {a="b",le="0.5"}; <le> is "" outside histograms. */
static void
put_labels(struct writer *w, const struct metric_label *labels, size_t n, const char *le)
{
	const char *comma = "{";

	for (size_t i = 0; i < n; i++, comma = ",") {
		put_text(w, comma);
		put_name(w, labels[i].key);
		put_text(w, "=\"");
		put_escaped(w, labels[i].value, true);
		put_text(w, "\"");
	}
	if (le[0] != '\0') {
		put_text(w, comma);
		put_text(w, "le=\"");
		put_text(w, le);
		put_text(w, "\"");
		comma = ",";
	}
	if (*comma == ',')
		put_text(w, "}");
}

static void
put_sample(struct writer *w, const struct metric_family *f, const struct metric_point *p, const char *suffix,
    const char *le, double v)
{
	put_family_name(w, f);
	put_text(w, suffix);
	put_labels(w, p->labels, p->n_labels, le);
	put_text(w, " ");
	put_number(w, v);
	put_text(w, "\n");
}

static void
put_histogram(struct writer *w, const struct metric_family *f, const struct metric_point *p)
{
	uint64_t seen = 0;
	char le[32];

	for (size_t i = 0; i < f->n_bounds; i++) {
		seen += p->buckets[i];
		/* OpenMetrics wants floats to look like floats. */
		(void)snprintf(le, sizeof(le), w->openmetrics && f->bounds[i] == floor(f->bounds[i]) ? "%.1f" : "%.12g",
		    f->bounds[i]);
		put_sample(w, f, p, "_bucket", le, (double)seen);
	}
	/* The counters are read one by one while they change; +Inf and _count must still agree. */
	seen += p->buckets[f->n_bounds];
	put_sample(w, f, p, "_bucket", "+Inf", (double)seen);
	put_sample(w, f, p, "_sum", "", p->value);
	put_sample(w, f, p, "_count", "", (double)seen);
}

static void
put_target_info(struct writer *w, const struct otlp_attribute *resource, size_t n)
{
	put_text(w, w->openmetrics ? "# HELP target Target metadata\n# TYPE target info\n" :
				     "# HELP target_info Target metadata\n# TYPE target_info gauge\n");
	put_text(w, "target_info");
	for (size_t i = 0; i < n; i++) {
		put_text(w, i == 0 ? "{" : ",");
		put_name(w, resource[i].key);
		put_text(w, "=\"");
		put_escaped(w, resource[i].value, true);
		put_text(w, "\"");
	}
	put_text(w, n > 0 ? "} 1\n" : " 1\n");
}

enum tulle_err
prometheus_write(struct buf *out, const struct metric_set *s, const struct otlp_attribute *resource, size_t n_resource,
    bool openmetrics)
{
	struct writer w = { .out = out, .openmetrics = openmetrics };

	put_target_info(&w, resource, n_resource);
	for (size_t i = 0; i < s->n; i++) {
		const struct metric_family *f = &s->families[i];

		if (f->n == 0)
			continue;
		put_head(&w, f);
		for (size_t k = 0; k < f->n; k++) {
			if (f->type == METRIC_HISTOGRAM)
				put_histogram(&w, f, &f->points[k]);
			else
				put_sample(&w, f, &f->points[k], f->type == METRIC_COUNTER ? "_total" : "", "",
				    f->points[k].value);
		}
	}
	if (openmetrics)
		put_text(&w, "# EOF\n");
	return w.err;
}

bool
prometheus_wants_openmetrics(const char *accept, size_t n)
{
	static const char type[] = "application/openmetrics-text";

	/* Scrapers name the formats they like, best first; whoever names this one takes it. */
	return n >= sizeof(type) - 1 && memmem(accept, n, type, sizeof(type) - 1) != NULL;
}
