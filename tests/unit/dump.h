/* Annotated hexdumps for the documents of a wire, and their comparison with what stands in a file
 * between two markers: what is written there is what the code sends. */
#ifndef TESTS_UNIT_DUMP_H
#define TESTS_UNIT_DUMP_H

#include "base/slice.h"

struct dump {
    struct buffer out; /**< the text */
};

/** Begin an empty text. */
void dump_init(struct dump *d);

/** Append text, at most 511 bytes; printf's format. */
void dump_put(struct dump *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Append `bytes` in hex, eight a line, with `note` beside the first, indented by the depth. */
void dump_line(struct dump *d, struct slice bytes, unsigned depth, const char *note);

/** As dump_line() for the first `size` bytes of `rest`, which go. */
void dump_part(struct dump *d, struct slice *rest, size_t size, const char *note);

/** Print the text, or compare it with a file's; then free it.
 * \param program  who makes it. \param path  the file; NULL: print. \return 0, or 1: it differs. */
int dump_end(struct dump *d, const char *program, const char *path);

#endif
