/* A guarded resource, as a user's database would be: it keeps the greatest fencing token that it
 * has seen and refuses writes below it. A file, locked for each access; processes share it. */
#ifndef JEPSEN_RUN_GUARD_H
#define JEPSEN_RUN_GUARD_H

#include <stdbool.h>
#include <stdint.h>

/** Write a value under a token. \param path  the resource's file, made if absent.
 * \return false: a greater token was seen before, nothing changed. */
bool guard_write(const char *path, uint64_t token, uint64_t value);

/** Read it. \param value  Out. \return false: it was never written. */
bool guard_read(const char *path, uint64_t *value);

#endif
