import type { Document } from '../document.ts';

/** Documents as e-mail carries them: base64 of the UTF-8 bytes, 76 characters a line (RFC 2045). */
export function asBase64(documents: readonly Document[]): Document[] {
  return encode(documents, 'base64', 3_000, (bytes) => bytes.toString('base64').replace(/.{76}/g, '$&\n'));
}

const TWO_DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Documents as a dump prints them: an offset and sixteen bytes a line, in hexadecimal. */
export function asHex(documents: readonly Document[]): Document[] {
  return encode(documents, 'hex', 1_000, (bytes) => {
    const lines: string[] = [];
    for (let at = 0; at < bytes.length; at += 16) {
      const row = Array.from(bytes.subarray(at, at + 16), (byte) => TWO_DIGITS[byte]);
      lines.push(`${at.toString(16).padStart(8, '0')}  ${row.join(' ')}`);
    }
    return lines.join('\n');
  });
}

function encode(
  documents: readonly Document[],
  form: string,
  maxBytes: number,
  write: (bytes: Buffer) => string,
): Document[] {
  return documents.map(({ id, text }) => {
    // A unit of the text is a byte at least, and the last one may be half a character.
    const bytes = Buffer.from(text.slice(0, maxBytes + 1)).subarray(0, maxBytes);
    return { id: `${form}/${id}`, source: 'encoded', text: `${write(bytes)}\n` };
  });
}
