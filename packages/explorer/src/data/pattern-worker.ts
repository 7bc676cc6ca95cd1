/** Finds a pattern in a text, away from the page. */
export interface PatternQuestion {
  readonly text: string;
  readonly pattern: string;
  readonly flags: string;
}

export interface PatternAnswer {
  /** Starts and ends in turn, in the text's UTF-16 units. */
  readonly ranges: Uint32Array<ArrayBuffer>;
}

onmessage = ({ data: { text, pattern, flags } }: MessageEvent<PatternQuestion>) => {
  const ranges: number[] = [];
  for (const match of text.matchAll(new RegExp(pattern, flags)))
    // A pattern that matches nothing at all, as x* does, finds nothing.
    if (match[0].length > 0) ranges.push(match.index, match.index + match[0].length);
  const answer: PatternAnswer = { ranges: Uint32Array.from(ranges) };
  // The types are those of a page, whose message goes to a window.
  (postMessage as (message: PatternAnswer, transfer: Transferable[]) => void)(answer, [answer.ranges.buffer]);
};
