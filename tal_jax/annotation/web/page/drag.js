/** A pointer gesture from press to release, which other pointers and the way outside do not end. */

const SLACK = 3; // pixels that a click may wander

/**
 * @param {PointerEvent} down the press that begins it; only the main button counts
 * @param {object} steps
 * @param {(event: PointerEvent) => void} [steps.move] after it wandered further than a click
 * @param {(moved: boolean, event: PointerEvent) => void} [steps.end] not called if it is broken off
 * @param {() => void} [steps.cancel]
 */
export function drag(down, {move = () => {}, end = () => {}, cancel = () => {}}) {
  if (down.button !== 0) return;
  const element = /** @type {Element} */ (down.currentTarget);
  element.setPointerCapture(down.pointerId);
  let moved = false;
  const off = new AbortController();
  const on = (name, listener) =>
    element.addEventListener(
      name,
      (event) => {
        if (event.pointerId === down.pointerId) listener(event);
      },
      {signal: off.signal},
    );
  on('pointermove', (event) => {
    moved ||= Math.abs(event.clientX - down.clientX) > SLACK;
    if (moved) move(event);
  });
  on('pointerup', (event) => {
    off.abort();
    end(moved, event);
  });
  on('pointercancel', () => {
    off.abort();
    cancel();
  });
}
