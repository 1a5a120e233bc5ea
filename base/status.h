/* Statuses: one int everywhere; 0 is HF_OK, negative is an error of one of three kinds. The list
 * itself is base/status.def; the public header spells the same numbers out with what to do about
 * each, and a test holds the two against each other. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#ifndef HOLDFAST_H /* the public header declares the same enumerators */
enum hf_status {
#define HF_STATUS(code, number, kind, reply_class, name, text) code = number,
#include "base/status.def"
#undef HF_STATUS
};
#endif

enum status_kind { STATUS_ANSWER, STATUS_WEATHER, STATUS_FAULT };

/** The contract's word for a status ("BUSY"), or "?" for a number that is not one. Static. */
const char *status_name(int status);

/** One lower-case sentence for people, without a full stop. Static. */
const char *status_text(int status);

/** The kind of a status; a number that is not one is a STATUS_FAULT. */
enum status_kind status_kind(int status);

/** 0 done, 1 certainly not applied, 2 unknown (docs/contract.md, section 2). */
unsigned status_reply_class(int status);

/** Translate an errno to the status of the same meaning; EIO-like ones become HF_EIO. */
int status_from_errno(int errnum);

#endif
