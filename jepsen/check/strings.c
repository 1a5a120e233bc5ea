#include "jepsen/check/strings.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/status.h"

enum { ROOM_FIRST = 64 };

void strings_init(struct strings *s, size_t bytes_max)
{
    *s = (struct strings){0};
    buffer_init(&s->bytes, bytes_max);
}

void strings_close(struct strings *s)
{
    buffer_close(&s->bytes);
    free(s->begins);
    free(s->places);
    *s = (struct strings){0};
}

const char *strings_text(const struct strings *s, uint32_t number)
{
    HF_ASSERT(number <= s->count);
    if (number == 0) return "";
    return (const char *)s->bytes.data + s->begins[number - 1];
}

/* Where `text` stands in the table, or where it would. */
static uint32_t find_place(const struct strings *s, struct slice text)
{
    uint32_t at = (uint32_t)hash64(0, text.data, text.size) & s->place_mask;
    while (s->places[at] != 0 && !slice_equal(slice_of(strings_text(s, s->places[at])), text))
        at = (at + 1) & s->place_mask;
    return at;
}

/* Room for twice as many; the table stays at most half full. */
static int grow(struct strings *s)
{
    uint32_t room = s->room == 0 ? ROOM_FIRST : s->room * 2;
    if (room > UINT32_MAX / 4) return HF_ETOOLARGE;
    size_t *begins = realloc(s->begins, room * sizeof *begins);
    if (begins == NULL) return HF_ENOMEM;
    s->begins = begins;
    uint32_t *places = calloc((size_t)room * 2, sizeof *places);
    if (places == NULL) return HF_ENOMEM;
    free(s->places);
    s->places = places;
    s->room = room;
    s->place_mask = room * 2 - 1;
    for (uint32_t n = 1; n <= s->count; n++)
        s->places[find_place(s, slice_of(strings_text(s, n)))] = n;
    return HF_OK;
}

int strings_add(struct strings *s, struct slice text, uint32_t *number)
{
    HF_ASSERT(text.size == 0 || memchr(text.data, 0, text.size) == NULL);
    int rv = s->count == s->room ? grow(s) : HF_OK;
    if (rv != HF_OK) return rv;
    uint32_t at = find_place(s, text);
    if (s->places[at] == 0) {
        size_t begin = s->bytes.size;
        rv = buffer_append(&s->bytes, text.data, text.size);
        if (rv == HF_OK) rv = buffer_append(&s->bytes, "", 1);
        if (rv != HF_OK) {
            s->bytes.size = begin;
            return rv;
        }
        s->begins[s->count++] = begin;
        s->places[at] = s->count;
    }
    *number = s->places[at];
    return HF_OK;
}
