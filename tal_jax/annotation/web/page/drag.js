/** A pointer gesture from press to release, which other pointers and the way outside do not end. */

const SLACK = 3; // pixels that a click may wander
const PACE = 50; // milliseconds at most between two steps of scrolling, however slow the screen

/**
 * @param {PointerEvent} down the press that begins it; only the main button counts
 * @param {object} steps
 * @param {(event: PointerEvent) => void} [steps.move] after it wandered further than a click
 * @param {(moved: boolean, event: PointerEvent) => void} [steps.end] not called if it is broken off
 * @param {() => void} [steps.cancel]
 * @param {(event: PointerEvent, milliseconds: number) => boolean} [steps.scroll] asked with each
 *   picture while the pointer is held, and how long it took; whether what is under it moved
 */
export function drag(
  down,
  {move = () => {}, end = () => {}, cancel = () => {}, scroll = () => false},
) {
  if (down.button !== 0) return;
  const element = /** @type {Element} */ (down.currentTarget);
  element.setPointerCapture(down.pointerId);
  let moved = false;
  let last = down;
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
    last = event;
    if (moved) move(event);
  });
  const creep = (before) =>
    requestAnimationFrame((now) => {
      if (off.signal.aborted) return;
      if (moved && scroll(last, Math.min(now - before, PACE))) move(last);
      creep(now);
    });
  creep(performance.now());
  on('pointerup', (event) => {
    off.abort();
    end(moved, event);
  });
  on('pointercancel', () => {
    off.abort();
    cancel();
  });
}
