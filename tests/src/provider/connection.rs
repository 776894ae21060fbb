//! One connection to the provider: requests in, steps of answers out.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::answer::{Answer, Framing, Step};
use super::{Recorded, State};

/// Whether the connection can take another request.
#[derive(PartialEq, Eq)]
enum After {
    KeepAlive,
    Close,
}

pub(super) async fn serve(stream: TcpStream, number: usize, state: Arc<State>) {
    stream.set_nodelay(true).ok();
    let mut stream = BufReader::new(stream);
    while let Ok(Some(request)) = read(&mut stream, number).await {
        let (index, answer) = state.take(request);
        match write(&mut stream, &answer).await {
            Ok(After::KeepAlive) => {}
            Ok(After::Close) => return,
            Err(_) => return state.abandoned(index),
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>, connection: usize) -> std::io::Result<Option<Recorded>> {
    let Some(target) = line(stream).await? else { return Ok(None) };
    let target = target.rsplit_once(' ').map_or(target.clone(), |(target, _)| target.to_owned());
    let mut headers = Vec::new();
    while let Some(text) = line(stream).await?.filter(|text| !text.is_empty()) {
        let (name, value) = text.split_once(':').unwrap_or((&text, ""));
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Recorded { target, headers, body: Vec::new(), connection, abandoned: false };
    if let Some(length) = request.header("content-length").and_then(|length| length.parse::<usize>().ok()) {
        request.body = vec![0; length];
        stream.read_exact(&mut request.body).await?;
    } else if request.header("transfer-encoding").is_some() {
        request.body = chunks(stream).await?;
    }
    Ok(Some(request))
}

async fn chunks(stream: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream).await?.and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let Some(size) = size else { return Err(std::io::ErrorKind::InvalidData.into()) };
        let mut chunk = vec![0; size];
        stream.read_exact(&mut chunk).await?;
        line(stream).await?;
        if size == 0 {
            return Ok(body);
        }
        body.extend(chunk);
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut text = Vec::new();
    if stream.read_until(b'\n', &mut text).await? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&text).trim_end().to_owned()))
}

async fn write(stream: &mut BufReader<TcpStream>, answer: &Answer) -> std::io::Result<After> {
    for step in &answer.before {
        if perform(stream, step, Framing::Length).await? == After::Close {
            return Ok(After::Close);
        }
    }
    let steps = answer.body.as_deref().unwrap_or_default();
    stream.write_all(&head(answer, steps)).await?;
    for step in steps {
        if perform(stream, step, answer.framing).await? == After::Close {
            return Ok(After::Close);
        }
    }
    if answer.framing == Framing::Chunked {
        stream.write_all(b"0\r\n\r\n").await?;
    }
    stream.flush().await?;
    Ok(After::KeepAlive)
}

fn head(answer: &Answer, steps: &[Step]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} Simulated\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match answer.framing {
        Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
        Framing::Length => {
            let sent: usize = steps.iter().map(|step| if let Step::Send(piece) = step { piece.len() } else { 0 }).sum();
            // What is cut off was announced all the same.
            let length = if answer.cut_at.is_some() { sent + 1 } else { sent };
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Does one step; an error where the caller has gone away.
async fn perform(stream: &mut BufReader<TcpStream>, step: &Step, framing: Framing) -> std::io::Result<After> {
    match step {
        Step::Send(piece) if piece.is_empty() => {}
        Step::Send(piece) if framing == Framing::Chunked => {
            let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            stream.write_all(&framed).await?;
            stream.flush().await?;
        }
        Step::Send(piece) => stream.write_all(piece).await?,
        Step::Pause(pause) => unless_gone(stream, tokio::time::sleep(*pause)).await?,
        Step::Hold(gate) => unless_gone(stream, gate.pass()).await?,
        Step::Cut => {
            stream.shutdown().await.ok();
            return Ok(After::Close);
        }
    }
    Ok(After::KeepAlive)
}

/// Waits, and notices when the caller goes away meanwhile.
async fn unless_gone(stream: &mut BufReader<TcpStream>, wait: impl Future<Output = ()>) -> std::io::Result<()> {
    tokio::select! {
        () = wait => Ok(()),
        seen = stream.fill_buf() => match seen?.len() {
            0 => Err(std::io::ErrorKind::ConnectionAborted.into()),
            _ => Err(std::io::Error::other("more than one request at a time")),
        },
    }
}
