/* Strings as numbers: the same bytes have the same number, 1 and up. */
#ifndef JEPSEN_CHECK_STRINGS_H
#define JEPSEN_CHECK_STRINGS_H

#include "base/slice.h"

struct strings {
    struct buffer bytes; /**< all of them, one behind the other, each ended by a zero */
    size_t *begins;      /**< owned: where string n begins, at [n - 1] */
    uint32_t *places;    /**< owned: a hash table of numbers; 0 = free */
    uint32_t count;      /**< of strings */
    uint32_t room;       /**< of `begins` */
    uint32_t place_mask; /**< the table's size less 1 */
};

/** Make an empty table. \param bytes_max of all strings together. */
void strings_init(struct strings *s, size_t bytes_max);

/** Free it; a zeroed one is accepted. */
void strings_close(struct strings *s);

/** The number of `text`. \param number Out. \retval HF_ENOMEM \retval HF_ETOOLARGE bytes_max. */
HF_MUST_USE
int strings_add(struct strings *s, struct slice text, uint32_t *number);

/** The text of a number, NUL-terminated; "" for 0. Borrowed until the next strings_add(). */
const char *strings_text(const struct strings *s, uint32_t number);

#endif
