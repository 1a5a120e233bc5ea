/* What the watcher keeps: for each key of a prefix the record's state and its attempt's token, and
 * the number of the first event that is not in it yet. Both are written to a file as one, so that
 * whoever starts from the file goes on exactly there. */
#ifndef EXAMPLES_CACHE_CACHE_H
#define EXAMPLES_CACHE_CACHE_H

#include <stdint.h>

enum { CACHE_KEYS_MAX = 10000, CACHE_KEY_BYTES = 256, CACHE_STATE_BYTES = 16 };

struct cached {
    char key[CACHE_KEY_BYTES];     /**< the record's */
    char state[CACHE_STATE_BYTES]; /**< as `holdfast records` shows it */
    uint64_t fencing_token;        /**< of its latest attempt */
};

struct cache {
    struct cached *items; /**< owned, rising by key */
    int count;            /**< of them */
    uint64_t next;        /**< the first event that is not in it; 0 = it was never filled */
};

/** Read the file, if there is one. Ends the process if it is none of ours. */
void cache_open(struct cache *c, const char *path);

/** Forget all. */
void cache_clear(struct cache *c);

/** What a key is now. */
void cache_put(struct cache *c, const char *key, const char *state, uint64_t fencing_token);

/** A key is no more; also if it was not there. */
void cache_drop(struct cache *c, const char *key);

/** Write all of it, or leave the file as it was: a new file takes the old one's name. */
void cache_save(const struct cache *c, const char *path);

#endif
