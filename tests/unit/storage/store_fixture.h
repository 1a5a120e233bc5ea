/* What the store's tests share: a directory that goes away, random changes made to two stores at
 * once, and the comparison of everything that two stores show. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <limits.h>

#include "base/prng.h"
#include "storage/store.h"

struct store_dir {
    char parent[64]; /**< made by mkdtemp */
    char path[80];   /**< of the store in it */
};

/** Make the parent; the store's own directory does not exist yet. */
void store_dir_make(struct store_dir *d);

/** Remove both with what is in them. */
void store_dir_remove(struct store_dir *d);

/** Make and open an LMDB store, with the full check. */
struct store *store_dir_create(const struct store_dir *d);

/** Open it again, with the full check; fails the test if it cannot. */
struct store *store_dir_open(const struct store_dir *d);

/** A random key of a small space: numbers, some long, many with a common prefix. */
struct slice random_key(struct prng *p, uint64_t space, uint8_t out[STORE_KEY_BYTES_MAX]);

/** A random value: mostly short, some empty, some of several pages. */
struct slice random_value(struct prng *p, struct buffer *out);

/** One random put or del; with `b`, the same there, and the same answers. */
void random_change(struct store *a, struct store *b, struct prng *p, uint64_t space);

/** All rows by walking, counts, digest, and the mark unless they may differ. */
void expect_same(struct store *a, struct store *b, bool marks);

/** The answers of get, and of walks from random places, for random keys. */
void expect_same_lookups(struct store *a, struct store *b, struct prng *p, uint64_t space);

enum { FIXTURE_TABLES = 5 };

#endif
