#include "client/secrets.h"

#include <string.h>

#include "base/hash.h"
#include "base/status.h"
#include "protocol/scan.h"

static const char label[] = "holdfast/derive/1"; /* its NUL is hashed, too */

static const struct secret *find(const struct secrets *secrets, struct slice id)
{
    HF_ASSERT(secrets->count <= SECRETS_MAX);
    for (uint32_t i = 0; i < secrets->count; i++) {
        if (slice_equal(slice_of(secrets->items[i].id), id)) return &secrets->items[i];
    }
    return NULL;
}

static int add(struct secrets *secrets, const hf_secret *given)
{
    if (given->id == NULL || given->key == NULL) return HF_EINVAL;
    struct slice id = slice_of(given->id);
    if (id.size < 1 || id.size > SECRET_ID_BYTES_MAX || !scan_is_text(id)) return HF_EINVAL;
    if (given->key_bytes < SECRET_BYTES_MIN || given->key_bytes > SECRET_BYTES_MAX) {
        return HF_EINVAL;
    }
    if (find(secrets, id) != NULL) return HF_EINVAL;
    struct secret *secret = &secrets->items[secrets->count++];
    memcpy(secret->id, id.data, id.size);
    secret->id[id.size] = '\0';
    secret->bytes = given->key_bytes;
    memcpy(secret->key, given->key, given->key_bytes);
    return HF_OK;
}

int secrets_copy(struct secrets *secrets, const hf_secret *items, size_t count)
{
    secrets->count = 0;
    if (count > SECRETS_MAX || (count > 0 && items == NULL)) return HF_EINVAL;
    int rv = HF_OK;
    for (size_t i = 0; rv == HF_OK && i < count; i++) rv = add(secrets, &items[i]);
    if (rv != HF_OK) secrets_close(secrets);
    return rv;
}

void secrets_close(struct secrets *secrets)
{
    wipe(secrets, sizeof *secrets);
}

bool secrets_know(const struct secrets *secrets, struct slice id)
{
    return find(secrets, id) != NULL;
}

static size_t put_part(uint8_t *at, struct slice part)
{
    HF_ASSERT(part.size >= 1 && part.size <= NAME_BYTES_MAX);
    put_u32(at, (uint32_t)part.size);
    memcpy(at + 4, part.data, part.size);
    return 4 + part.size;
}

int secrets_derive(const struct secrets *secrets, struct slice id, struct slice key,
                   struct slice step, char out[HF_DERIVED_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    _Static_assert((int)HF_DERIVED_BYTES == 2 * SHA256_BYTES + 1, "two digits a byte, and a NUL");
    const struct secret *secret = find(secrets, id);
    if (secret == NULL) return HF_ENOKEY;
    uint8_t bytes[sizeof label + 2 * (4 + NAME_BYTES_MAX)];
    uint8_t mac[SHA256_BYTES];
    size_t size = sizeof label;
    memcpy(bytes, label, size);
    size += put_part(bytes + size, key);
    size += put_part(bytes + size, step);
    hmac_sha256(slice_make(secret->key, secret->bytes), slice_make(bytes, size), mac);
    for (size_t i = 0; i < sizeof mac; i++) {
        out[2 * i] = digits[mac[i] >> 4];
        out[2 * i + 1] = digits[mac[i] & 15];
    }
    out[HF_DERIVED_BYTES - 1] = '\0';
    return HF_OK;
}
