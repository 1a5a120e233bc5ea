/* Rows in the generation in memory of the store on disk, which is where a server's rows are put and
 * mostly found. */
#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"
#include "storage/store.h"
#include "tests/bench/layers.h"
#include "tests/bench/scratch.h"

enum { KEY_BYTES = 24, VALUE_BYTES = 100 };

struct rows {
    struct scratch scratch;
    unsigned put; /* rows so far */
};

static struct slice key_of(unsigned number, char key[KEY_BYTES + 1])
{
    /* neighbours in time are not neighbours in order */
    snprintf(key, KEY_BYTES + 1, "accounts/%010u/%04u", number * 2654435761U, number & 1023);
    return slice_make(key, KEY_BYTES);
}

static void put(void *state, unsigned count)
{
    struct rows *r = state;
    static const char value[VALUE_BYTES] = "v";
    char key[KEY_BYTES + 1];
    for (unsigned i = 0; i < count; i++) {
        struct slice k = key_of(r->put++, key);
        HF_ASSERT(store_put(r->scratch.store, 1, k, slice_make(value, sizeof value)) == HF_OK);
    }
}

static void *make(void)
{
    struct rows *r = calloc(1, sizeof *r);
    HF_ASSERT(r != NULL);
    scratch_open(&r->scratch);
    return r;
}

static void *make_full(void)
{
    struct rows *r = make();
    put(r, 2048);
    return r;
}

static void take_down(void *state)
{
    struct rows *r = state;
    scratch_close(&r->scratch);
    free(r);
}

static void get(void *state, unsigned count)
{
    struct rows *r = state;
    char key[KEY_BYTES + 1];
    struct slice value;
    for (unsigned i = 0; i < count; i++)
        HF_ASSERT(store_get(r->scratch.store, 1, key_of(i, key), &value) == HF_OK);
}

static void replace(void *state, unsigned count)
{
    ((struct rows *)state)->put = 0;
    put(state, count);
}

const struct layer layers_store[] = {
    {"store.put", make, put, take_down},
    {"store.replace", make_full, replace, take_down},
    {"store.get", make_full, get, take_down},
    {0},
};
