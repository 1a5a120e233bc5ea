/* The secrets that a client was given, and what is derived under them: a key for an outside
 * provider that is the same over every attempt at a record and every machine that knows the secret,
 * and that nobody without it can make up. The record carries the secret's id, never the secret.
 *
 *   HMAC-SHA256(secret, "holdfast/derive/1" NUL, u32 size of KEY, KEY, u32 size of STEP, STEP)
 *
 * with big-endian sizes, so that no two pairs of key and step have the same bytes; shown as 64
 * hexadecimal digits. docs/contract.md, section 6. */
#ifndef CLIENT_SECRETS_H
#define CLIENT_SECRETS_H

#include "client/include/holdfast.h"

#include "base/assert.h"
#include "base/slice.h"
#include "protocol/limits.h"

enum { SECRETS_MAX = 16, SECRET_BYTES_MIN = 16, SECRET_BYTES_MAX = 256 };

struct secret {
    char id[SECRET_ID_BYTES_MAX + 1]; /**< NUL-terminated */
    size_t bytes;                     /**< of the key */
    uint8_t key[SECRET_BYTES_MAX];    /**< secret */
};

struct secrets {
    uint32_t count;                   /**< of them */
    struct secret items[SECRETS_MAX]; /**< the first is that of new records */
};

/** Copy what a client is given. \param items `count` of them, at most SECRETS_MAX.
 * \retval HF_EINVAL an id or a key is out of its range, or an id stands twice; nothing is kept. */
HF_MUST_USE
int secrets_copy(struct secrets *secrets, const hf_secret *items, size_t count);

/** Overwrite them. */
void secrets_close(struct secrets *secrets);

/** Is a secret of this id known? */
bool secrets_know(const struct secrets *secrets, struct slice id);

/** Derive. \param step 1 to 255 bytes. \param out Out: NUL-terminated.
 * \retval HF_ENOKEY the id is empty, or not known here. */
HF_MUST_USE
int secrets_derive(const struct secrets *secrets, struct slice id, struct slice key,
                   struct slice step, char out[HF_DERIVED_BYTES]);

#endif
