/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tee_memory.h: what a TEE remembers of its TAMs from one request to the next: which requests it
 * has seen, who signed them, what OCSP said of the signers, the session and its last answer
 * (otrp-messages(7), Replay). Used by tee.c alone.
 *
 *     struct tee_view view;
 *     tee_view_fill(dev, &view, &reading);         the checks then ask the device by way of it
 *     struct check_result checked = request_check(request, &view, NULL, NULL);
 *     if (!remember_refused(dev, request, err)) ...
 *
 * The first of it that writes begins the device's transaction: what nobody has authenticated never
 * keeps others waiting.
 */
#ifndef OTRP_SIM_TEE_MEMORY_H
#define OTRP_SIM_TEE_MEMORY_H

#include "otrp/request.h"
#include "sim/device.h"

/* reading is what the view points to. */
void tee_view_fill(device *dev, struct tee_view *view, struct reading *reading);

/* That TAM is known from here on; begins the transaction. */
bool remember_tam(device *dev, const request *r, struct error *err) MUST_CHECK;

/* A request that failed before the row of the replay record is recorded all the same, as long as
 * there is room; and a revocation that it proved. */
bool remember_refused(device *dev, const request *r, struct error *err) MUST_CHECK;
bool remember_revoked(device *dev, const request *r, struct error *err) MUST_CHECK;

/* The signer of a request that passed, and the OCSP answers that spoke for its path. */
bool remember_signer(device *dev, const request *r, struct error *err) MUST_CHECK;
bool remember_revocation(device *dev, const request *r, struct error *err) MUST_CHECK;

/* A GetDeviceState begins a session: its tid is the current one from here on, its list of
 * algorithms holds. */
bool begin_session(device *dev, const request *r, struct error *err) MUST_CHECK;

/* The answer to a request that was new, in place of the one before it. */
bool remember_answer(device *dev, const request *r, struct span message,
                     struct error *err) MUST_CHECK;

#endif
