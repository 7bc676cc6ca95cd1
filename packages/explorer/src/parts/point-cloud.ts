const VERTEX = `
attribute vec2 place;
attribute vec3 colour;
uniform vec4 view;
uniform float size;
varying vec3 shade;
void main() {
  gl_Position = vec4((place - view.xy) * view.zw, 0.0, 1.0);
  gl_PointSize = size;
  shade = colour;
}`;
const FRAGMENT = `
precision mediump float;
varying vec3 shade;
void main() {
  vec2 d = gl_PointCoord - 0.5;
  float edge = smoothstep(0.5, 0.38, length(d));
  gl_FragColor = vec4(shade * edge * 0.85, edge * 0.85);
}`;

/** What part of the plane is seen: its middle, and pixels a unit. */
export interface PlaneView {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}

/** Milliseconds that the points of one frame may take. */
const FRAME_MS = 20;
const FEWEST_AT_ONCE = 2_000;

/**
 * Points drawn by WebGL, as many a frame as it has time for: with a graphics card a million are there at once, without one
 * they take a second, and meanwhile the picture can be moved. Those with the lowest numbers come first; they lie like all
 * others.
 */
export class PointCloud {
  readonly #gl: WebGLRenderingContext;
  readonly #program: WebGLProgram;
  readonly #n: number;
  #atOnce = 20_000;
  #frame = 0;

  /** @param places [n, 2] @returns undefined where the browser has no WebGL */
  static create(canvas: HTMLCanvasElement, places: Float32Array): PointCloud | undefined {
    const gl = canvas.getContext('webgl', {
      antialias: false,
      premultipliedAlpha: true,
      // Each frame adds to what the frames before it drew.
      preserveDrawingBuffer: true,
    });
    const program = gl && link(gl);
    return gl && program ? new PointCloud(gl, program, places) : undefined;
  }

  private constructor(gl: WebGLRenderingContext, program: WebGLProgram, places: Float32Array) {
    this.#gl = gl;
    this.#program = program;
    this.#n = places.length / 2;
    gl.useProgram(program);
    this.#attribute('place', places, 2);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /** @param colours [n, 3], 0 to 1 */
  colour(colours: Float32Array): void {
    this.#attribute('colour', colours, 3);
  }

  /** Begin a picture with the next frame, in place of one that is not whole yet. */
  draw(view: PlaneView, size: number): void {
    this.stop();
    this.#frame = requestAnimationFrame(() => {
      this.#clear(view, size);
      this.#drawFrom(0);
    });
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
  }

  #clear({ x, y, scale }: PlaneView, size: number): void {
    const gl = this.#gl;
    const { width, height, clientWidth } = gl.canvas as HTMLCanvasElement;
    const ratio = width / Math.max(1, clientWidth);
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const [zoomX, zoomY] = [(2 * scale * ratio) / width, (2 * scale * ratio) / height];
    gl.uniform4f(gl.getUniformLocation(this.#program, 'view'), x, y, zoomX, zoomY);
    gl.uniform1f(gl.getUniformLocation(this.#program, 'size'), size * ratio);
  }

  #drawFrom(first: number): void {
    const gl = this.#gl;
    const n = Math.min(this.#n - first, this.#atOnce);
    const start = performance.now();
    gl.drawArrays(gl.POINTS, first, n);
    // To read a pixel is to wait for the points.
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    if (first + n === this.#n) return;
    const perFrame = (n * FRAME_MS) / Math.max(1, performance.now() - start);
    this.#atOnce = Math.max(FEWEST_AT_ONCE, Math.floor(perFrame));
    this.#frame = requestAnimationFrame(() => this.#drawFrom(first + n));
  }

  #attribute(name: string, values: Float32Array, width: number): void {
    const gl = this.#gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    const place = gl.getAttribLocation(this.#program, name);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, width, gl.FLOAT, false, 0, 0);
  }
}

function link(gl: WebGLRenderingContext): WebGLProgram | undefined {
  const program = gl.createProgram();
  for (const [type, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(type);
    if (!shader) return undefined;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : undefined;
}
