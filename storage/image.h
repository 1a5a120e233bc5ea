/* An image: a store's whole state as one stream of bytes, the same from every implementation, for a
 * server that starts new or lags too far behind. Big-endian:
 *   "hfimage1" | u32 bytes | mark row (storage/mark_row.h; its hash covers counts and digest)
 *   rows, ascending by table and key: u8 table | u16 key bytes | u32 value bytes | key | value
 *   u8 0xff
 * Equal states give equal images (the mark's sequence is 0 in one).
 * The reader believes nothing: ranges and order as it goes, counts and digest at the end, so that
 * an image that was cut, mixed or changed on its way is refused before it replaces anything. */
#ifndef STORAGE_IMAGE_H
#define STORAGE_IMAGE_H

#include "storage/mark_row.h"
#include "storage/store.h"

/** Write the start. \retval HF_ENOMEM, or what sink_cb answered */
HF_MUST_USE
int image_write_start(const struct mark_row *mark, store_sink_cb sink_cb, void *data);

/** Write one row, behind the ones before. */
HF_MUST_USE
int image_write_row(uint8_t table, struct slice key, struct slice value, store_sink_cb sink_cb,
                    void *data);

/** Write the end. */
HF_MUST_USE
int image_write_end(store_sink_cb sink_cb, void *data);

/** Takes a row of an image, borrowed. \return HF_OK to go on. */
typedef int (*image_row_cb)(uint8_t table, struct slice key, struct slice value,
                            struct hash128 hash, void *data);

/** Read a whole image. \param mark Out; its configuration is borrowed from mark_bytes.
 * \param mark_bytes an empty buffer for MARK_ROW_BYTES_MAX.
 * \retval HF_ECORRUPT rows may have been given to row_cb, which must be forgotten; HF_EVERSION,
 * HF_ENOMEM, or what source_cb or row_cb answered */
HF_MUST_USE
int image_read(store_source_cb source_cb, void *source, image_row_cb row_cb, void *rows,
               struct buffer *mark_bytes, struct mark_row *mark);

#endif
