export { escapeHtml, type HtmlReport, htmlReport, type ReportSection, type ReportTable } from './html.ts';
export { figureText, intervalText, percentText } from './numbers.ts';
