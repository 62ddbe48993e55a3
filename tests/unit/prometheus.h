/* SPDX-License-Identifier: BSD-3-Clause */
/* prometheus.h - a strict reader of Prometheus' text format, as `promtool check metrics`. */
#ifndef RMNIC_TESTS_PROMETHEUS_H
#define RMNIC_TESTS_PROMETHEUS_H

/* NULL: the text is right; else what is wrong with it, and in which line. */
const char *prometheus_check(const char *text);

#endif /* RMNIC_TESTS_PROMETHEUS_H */
