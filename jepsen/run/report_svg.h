/* The picture of report.html. */
#ifndef JEPSEN_RUN_REPORT_SVG_H
#define JEPSEN_RUN_REPORT_SVG_H

#include <stdio.h>

#include "jepsen/run/results.h"

/** Write the legend and the picture as inline SVG. */
void report_svg(FILE *f, const struct results *r);

#endif
