/** What style sheets say of a drawing, as attributes of a file that stands alone. */
const DRAWN = [
  ...['fill', 'fill-opacity', 'stroke', 'stroke-width', 'stroke-dasharray', 'stroke-opacity', 'opacity'],
  ...['font-size', 'font-weight', 'text-anchor'],
];
const MARGIN = 12;

/**
 * A drawing of the page as a file: the picture as it is shown, with its style written into it, and what HTML shows over
 * or beside it: a box and its text for each of the labels.
 *
 * @param svg a picture that is on the page
 * @param labels elements on the page; a small picture inside one is drawn too
 */
export function drawnSvg(svg: SVGSVGElement, labels: Iterable<Element> = []): string {
  const frame = svg.getBoundingClientRect();
  const copy = styledCopy(svg);
  place(copy, frame, frame);
  const file = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  let [width, height] = [frame.width, frame.height];
  const parts: Element[] = [copy];
  for (const label of labels) {
    const box = label.getBoundingClientRect();
    width = Math.max(width, box.right - frame.left);
    height = Math.max(height, box.bottom - frame.top);
    parts.push(...labelParts(label, box, frame));
  }
  const size = [width + 2 * MARGIN, height + 2 * MARGIN].map((length) => Math.ceil(length));
  const view = { x: -MARGIN, y: -MARGIN, width: size[0], height: size[1] };
  set(file, { ...{ width: size[0], height: size[1] }, viewBox: Object.values(view).join(' ') });
  set(file, { 'font-family': 'Helvetica, Arial, sans-serif' });
  file.append(element('rect', { ...view, fill: getComputedStyle(document.documentElement).backgroundColor }));
  file.append(...parts);
  return `${new XMLSerializer().serializeToString(file)}\n`;
}

/** The border of a label, the pictures in it, and its words in their place. */
function labelParts(label: Element, box: DOMRect, frame: DOMRect): Element[] {
  const { borderTopWidth, borderTopColor, backgroundColor } = getComputedStyle(label);
  const parts: Element[] = [];
  if (parseFloat(borderTopWidth) > 0) {
    const at = { x: box.left - frame.left, y: box.top - frame.top, width: box.width, height: box.height };
    parts.push(
      element('rect', {
        ...at,
        rx: 6,
        fill: plainColour(backgroundColor),
        stroke: plainColour(borderTopColor),
      }),
    );
  }
  for (const picture of label.querySelectorAll('svg')) {
    const copy = styledCopy(picture);
    place(copy, picture.getBoundingClientRect(), frame);
    parts.push(copy);
  }
  const walker = document.createTreeWalker(label, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(node);
    const [line] = range.getClientRects();
    if (!line || !node.textContent?.trim()) continue;
    const style = getComputedStyle(node.parentElement!);
    const text = element('text', {
      x: line.left - frame.left,
      y: line.top - frame.top + line.height * 0.78,
      fill: plainColour(style.color),
      'font-size': style.fontSize,
      'font-weight': style.fontWeight,
      'font-family': style.fontFamily,
    });
    // Spaces at its ends stand in their place.
    text.setAttributeNS('http://www.w3.org/XML/1998/namespace', 'xml:space', 'preserve');
    text.textContent = node.textContent;
    parts.push(text);
  }
  return parts;
}

function styledCopy(svg: SVGSVGElement): SVGSVGElement {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const [originals, copies] = [svg, copy].map((root) => [root, ...root.querySelectorAll('*')]);
  copies.forEach((one, i) => {
    const style = getComputedStyle(originals[i]);
    one.removeAttribute('class');
    one.removeAttribute('style');
    set(one, Object.fromEntries(DRAWN.map((name) => [name, plainColour(style.getPropertyValue(name))])));
  });
  return copy;
}

/** Colours of a style sheet that other programs do not know, as `rgb`; all else as it is. */
function plainColour(value: string): string {
  if (!/^(oklab|oklch|color|lab|lch)\(/.test(value)) return value;
  const pixel = document.createElement('canvas').getContext('2d')!;
  pixel.fillStyle = value;
  pixel.fillRect(0, 0, 1, 1);
  const [r, g, b, alpha] = pixel.getImageData(0, 0, 1, 1).data;
  return `rgba(${r}, ${g}, ${b}, ${Number((alpha / 255).toFixed(3))})`;
}

function place(svg: SVGSVGElement, { left, top, width, height }: DOMRect, frame: DOMRect): void {
  set(svg, { x: left - frame.left, y: top - frame.top, width, height, overflow: 'visible' });
}

function element(name: string, attributes: Readonly<Record<string, string | number>>): Element {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  set(made, attributes);
  return made;
}

function set(target: Element, attributes: Readonly<Record<string, string | number>>): void {
  for (const [name, value] of Object.entries(attributes)) target.setAttribute(name, String(value));
}
