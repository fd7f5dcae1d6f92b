// Faults of accessibility that a machine can see, of all that is visible: controls without a name,
// text with too little contrast (WCAG 2.1 AA: 4.5, or 3 for large text), positive tab order, two
// elements of one id, labels of nothing, text that runs out of a button, names that do not begin with
// the text of what they name (2.5.3), targets of less than 24 pixels (2.5.8).
() => {
  const faults = [];
  const visible = (e) =>
    e.checkVisibility({visibilityProperty: true}) &&
    !e.closest('.unseen') &&
    e.getBoundingClientRect().width > 0;
  const top = document.querySelector('dialog[open]') ?? document.body;
  const all = [...top.querySelectorAll('*')].filter(visible);
  const what = (e) =>
    `${e.tagName.toLowerCase()}.${e.className.baseVal ?? e.className} "${e.textContent.trim().slice(0, 30)}"`;

  const nameOf = (e) =>
    (
      e.getAttribute('aria-label') ||
      e.labels?.[0]?.textContent ||
      e.textContent ||
      document.getElementById(e.getAttribute('aria-labelledby'))?.textContent ||
      ''
    ).trim();
  const plain = (text) => text.replace(/\s+/g, ' ').trim().toLowerCase();
  const shownIn = (e) => {
    const copy = e.cloneNode(true);
    for (const hidden of copy.querySelectorAll('[aria-hidden=true]')) hidden.remove();
    const text = plain(copy.textContent);
    return /[\p{L}\p{N}]/u.test(text) ? text : ''; // a sign is a picture
  };
  // A suggestion is as long as it is, and there is a key for it; a box's target is its label.
  const isSmall = (e) => {
    const {width, height} = (e.type === 'checkbox' ? e.labels[0] : e).getBoundingClientRect();
    return !e.matches('.tl-span') && (width < 23.9 || height < 23.9);
  };
  for (const e of all) {
    if (
      e.matches(
        'button, a, input, select, textarea, video, dialog, [role=slider], [role=img], [role=group], [tabindex="0"]',
      ) &&
      !e.closest('[aria-hidden=true]') &&
      !nameOf(e)
    )
      faults.push(`no name: ${what(e)}`);
    const text = e.matches('button, a, summary') ? shownIn(e) : '';
    if (text && !plain(nameOf(e)).startsWith(text)) faults.push(`another name: ${what(e)}`);
    if (e.matches('button, select, input, textarea, summary, [role=slider]') && isSmall(e))
      faults.push(`small: ${what(e)}`);
    if (e.tabIndex > 0) faults.push(`tab order: ${what(e)}`);
    if (e.matches('button') && e.scrollWidth > e.clientWidth + 1)
      faults.push(`runs out: ${what(e)}`);
    if (e.matches('label[for]') && !document.getElementById(e.htmlFor))
      faults.push(`label of nothing: ${what(e)}`);
  }
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`two of #${id}`);

  const parse = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return {r, g, b, a};
  };
  const over = (top, under) => ({
    r: top.r * top.a + under.r * (1 - top.a),
    g: top.g * top.a + under.g * (1 - top.a),
    b: top.b * top.a + under.b * (1 - top.a),
    a: 1,
  });
  const light = ({r, g, b}) =>
    [r, g, b]
      .map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement)
      layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers
      .reverse()
      .reduce((under, layer) => over(layer, under), {r: 255, g: 255, b: 255, a: 1});
  };
  for (const e of all) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest('option') || e.matches(':disabled') || e.closest(':disabled')) continue;
    const style = getComputedStyle(e);
    const ground = behind(e);
    const ink = over(parse(e instanceof SVGElement ? style.fill : style.color), ground);
    const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) faults.push(`contrast ${ratio.toFixed(2)}: ${what(e)}`);
  }
  return faults;
};
