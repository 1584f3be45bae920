//! Rows as Apache Parquet: typed columns, zstd, a row group as soon as it is full.

use std::mem;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use super::table::{Cell, Column, Kind};

/// Rows of a row group: enough to read a column well, and few enough to be held.
const GROUP_ROWS: usize = 50_000;
/// Bytes of text after which a row group ends, however few its rows are.
const GROUP_BYTES: usize = 16 << 20;

/// A file that is being written. It holds the rows of one row group, and what has been written and
/// not yet been taken.
pub(super) struct ParquetRows {
    writer: SerializedFileWriter<Vec<u8>>,
    columns: Vec<Values>,
    rows: usize,
    bytes: usize,
}

/// A column of the row group.
struct Values {
    column: Column,
    /// For each row whether it has a value, as Parquet counts that.
    present: Vec<i16>,
    values: Typed,
}

enum Typed {
    Text(Vec<ByteArray>),
    /// Times too: microseconds.
    Whole(Vec<i64>),
    Flag(Vec<bool>),
    Number(Vec<f64>),
}

impl ParquetRows {
    pub(super) fn new(columns: &[Column], name: &str) -> anyhow::Result<Self> {
        let fields = columns.iter().map(|column| field(*column).map(Arc::new));
        let fields = fields.collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder(name).with_fields(fields).build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("verbatim ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
        let columns = columns.iter().map(|column| Values::new(*column)).collect();
        Ok(Self { writer, columns, rows: 0, bytes: 0 })
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> anyhow::Result<()> {
        for (values, cell) in self.columns.iter_mut().zip(cells) {
            self.bytes += values.push(cell)?;
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.end_group()?;
        }
        Ok(())
    }

    /// Takes the bytes that were written since the last call.
    pub(super) fn take(&mut self) -> anyhow::Result<Vec<u8>> {
        self.writer.flush()?;
        Ok(mem::take(self.writer.inner_mut()))
    }

    /// All that is left.
    pub(super) fn finish(mut self) -> anyhow::Result<Vec<u8>> {
        if self.rows > 0 {
            self.end_group()?;
        }
        Ok(self.writer.into_inner()?)
    }

    fn end_group(&mut self) -> anyhow::Result<()> {
        let mut group = self.writer.next_row_group()?;
        for values in &mut self.columns {
            let column = group.next_column()?.context("the schema has a column for each")?;
            values.write(column)?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

fn field(column: Column) -> anyhow::Result<Type> {
    let (physical, logical) = match column.kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        Kind::Flag => (Physical::BOOLEAN, None),
        Kind::Whole => (Physical::INT64, None),
        Kind::Number => (Physical::DOUBLE, None),
    };
    let repetition = if column.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let field = Type::primitive_type_builder(column.name, physical)
        .with_logical_type(logical)
        .with_repetition(repetition)
        .build()?;
    Ok(field)
}

impl Values {
    fn new(column: Column) -> Self {
        let values = match column.kind {
            Kind::Text => Typed::Text(Vec::new()),
            Kind::Time | Kind::Whole => Typed::Whole(Vec::new()),
            Kind::Flag => Typed::Flag(Vec::new()),
            Kind::Number => Typed::Number(Vec::new()),
        };
        Self { column, present: Vec::new(), values }
    }

    /// Adds a cell, and returns its bytes of text.
    fn push(&mut self, cell: &Cell<'_>) -> anyhow::Result<usize> {
        let mut bytes = 0;
        match (&mut self.values, cell) {
            (_, Cell::Nothing) if self.column.optional => {}
            (Typed::Text(values), Cell::Text(text)) => {
                bytes = text.len();
                values.push(text.as_bytes().to_vec().into());
            }
            (Typed::Whole(values), Cell::Time(at)) => values.push(at.timestamp_micros()),
            (Typed::Whole(values), Cell::Whole(number)) => values.push(*number),
            (Typed::Flag(values), Cell::Flag(flag)) => values.push(*flag),
            (Typed::Number(values), Cell::Number(number)) => values.push(*number),
            _ => bail!("the column {} takes no such cell", self.column.name),
        }
        self.present.push(i16::from(*cell != Cell::Nothing));
        Ok(bytes)
    }

    /// Writes the column, and is empty afterwards.
    fn write(&mut self, mut column: SerializedColumnWriter<'_>) -> anyhow::Result<()> {
        let present = self.column.optional.then_some(&*self.present);
        match &mut self.values {
            Typed::Text(values) => {
                column.typed::<ByteArrayType>().write_batch(values, present, None)?;
                values.clear();
            }
            Typed::Whole(values) => {
                column.typed::<Int64Type>().write_batch(values, present, None)?;
                values.clear();
            }
            Typed::Flag(values) => {
                column.typed::<BoolType>().write_batch(values, present, None)?;
                values.clear();
            }
            Typed::Number(values) => {
                column.typed::<DoubleType>().write_batch(values, present, None)?;
                values.clear();
            }
        }
        self.present.clear();
        Ok(column.close()?)
    }
}
