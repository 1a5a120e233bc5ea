/* Any bytes as any described struct: the first byte picks the type. What decodes must pass its own
 * check, encode to the same bytes, print as JSON, and end where codec_first() says it ends. Run as
 * described in tests/fuzz/README.md. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/protocol/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t type_count = 0;
    while (sample_types[type_count] != NULL) type_count++;
    if (size == 0) return 0;
    const struct codec_type *type = sample_types[data[0] % type_count];
    struct slice bytes = slice_make(data + 1, size - 1);

    struct fuzz *f = fuzz_begin();
    union sample out;
    if (codec_decode(type, bytes, &f->arena, &out) != HF_OK) return 0;
    HF_ASSERT(f->arena.size <= 64 * size); /* memory in proportion to the input */
    HF_ASSERT(codec_check(type, &out) == HF_OK);
    HF_ASSERT(codec_encode(type, &out, &f->out) == HF_OK);
    HF_ASSERT(slice_equal(buffer_slice(&f->out), bytes));
    struct slice first;
    HF_ASSERT(codec_first(bytes, &first) == HF_OK);
    HF_ASSERT(first.size == bytes.size);
    buffer_clear(&f->out);
    HF_ASSERT(codec_json(type, &out, &f->out) == HF_OK);
    return 0;
}
