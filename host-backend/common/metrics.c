/* SPDX-License-Identifier: BSD-3-Clause */
/* Prometheus' text format, in memory. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/metrics_internal.h"

static const char *const type_names[] = { "counter", "gauge", "histogram" };

/* The format escapes backslash and newline, and in a label's value the quote as well. */
static void escaped(FILE *out, const char *text, bool quoted)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '\\' || (quoted && *text == '"'))
			fprintf(out, "\\%c", *text);
		else
			putc(*text, out);
	}
}

void rmnic_metrics_family(struct rmnic_metrics *m, const struct rmnic_metric *metric)
{
	m->family = metric;
	fprintf(m->out, "# HELP %s ", metric->name);
	escaped(m->out, metric->help, false);
	fprintf(m->out, "\n# TYPE %s %s\n", metric->name, type_names[metric->type]);
}

/* name[suffix]{labels[,le="..."]}, and a blank */
static void sample_begin(struct rmnic_metrics *m, const char *suffix,
			 const struct rmnic_label *labels, unsigned int nlabels, const char *le)
{
	fprintf(m->out, "%s%s", m->family->name, suffix);
	for (unsigned int i = 0; i < nlabels; i++) {
		fprintf(m->out, "%c%s=\"", i ? ',' : '{', labels[i].name);
		escaped(m->out, labels[i].value, true);
		putc('"', m->out);
	}
	if (le)
		fprintf(m->out, "%cle=\"%s\"", nlabels ? ',' : '{', le);
	fputs(nlabels || le ? "} " : " ", m->out);
}

static void number_format(double value, char buf[32])
{
	if (isnan(value))
		snprintf(buf, 32, "NaN");
	else if (isinf(value))
		snprintf(buf, 32, "%s", value > 0 ? "+Inf" : "-Inf");
	else
		snprintf(buf, 32, "%.12g", value);
}

void rmnic_metrics_uint(struct rmnic_metrics *m, const struct rmnic_label *labels,
			unsigned int nlabels, uint64_t value)
{
	sample_begin(m, "", labels, nlabels, NULL);
	fprintf(m->out, "%" PRIu64 "\n", value);
}

void rmnic_metrics_double(struct rmnic_metrics *m, const struct rmnic_label *labels,
			  unsigned int nlabels, double value)
{
	char text[32];

	number_format(value, text);
	sample_begin(m, "", labels, nlabels, NULL);
	fprintf(m->out, "%s\n", text);
}

void rmnic_metrics_histogram(struct rmnic_metrics *m, const struct rmnic_label *labels,
			     unsigned int nlabels, const double *upper, const uint64_t *count,
			     unsigned int buckets, uint64_t above, double sum)
{
	uint64_t total = 0;
	char text[32];

	for (unsigned int i = 0; i < buckets; i++) {
		total += count[i];
		number_format(upper[i], text);
		sample_begin(m, "_bucket", labels, nlabels, text);
		fprintf(m->out, "%" PRIu64 "\n", total);
	}
	total += above;
	sample_begin(m, "_bucket", labels, nlabels, "+Inf");
	fprintf(m->out, "%" PRIu64 "\n", total);
	number_format(sum, text);
	sample_begin(m, "_sum", labels, nlabels, NULL);
	fprintf(m->out, "%s\n", text);
	sample_begin(m, "_count", labels, nlabels, NULL);
	fprintf(m->out, "%" PRIu64 "\n", total);
}

char *rmnic_metrics_text(rmnic_metrics_fill fill, void *arg)
{
	struct rmnic_metrics m = { 0 };
	char *text = NULL;
	size_t len;
	bool bad;

	m.out = open_memstream(&text, &len);
	if (!m.out)
		return NULL;
	fill(arg, &m);
	bad = ferror(m.out) != 0;
	if (fclose(m.out) || bad) {
		free(text);
		return NULL;
	}
	return text;
}
